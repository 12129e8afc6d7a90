"""Emails as customers see them: a local page, a gallery of pictures, and what a change did to each of them."""
