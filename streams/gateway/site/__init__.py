"""The site script `/t.js` of the shop, and `/t`, which receives what it sends."""
