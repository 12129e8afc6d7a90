/* Takk: see deploy/SITE_SCRIPT.md. Without consent it sends nothing. */
(function (w, d) {
  "use strict";
  var me = d.currentScript, url = new URL("t", me.src).href, KEY = "takk";
  var consent = me.dataset.consent === "yes", token = me.dataset.visitor || "", cart, batch = [];

  function attempt(action) {
    try { action(w.localStorage); } catch (e) { /* storage is off */ }
  }
  function store() {
    if (consent) attempt(function (kept) { kept.setItem(KEY, JSON.stringify([token, cart])); });
  }
  function restore() {
    attempt(function (kept) {
      var old = JSON.parse(kept.getItem(KEY)) || [];
      token = token || old[0] || "";
      cart = cart || old[1];
    });
    store();
  }
  function forget() {
    token = "";
    cart = 0;
    batch = [];
    attempt(function (kept) { kept.removeItem(KEY); });
  }
  function flush() {
    var events = batch.splice(0, 20);
    if (!events.length) return;
    w.fetch(url, {
      method: "POST", credentials: "omit", keepalive: true,
      body: JSON.stringify({ visitor: token, consent: true, events: events })
    }).then(function (answer) {
      if (answer.status === 404) forget();
    }, function () { /* offline */ });
    flush();
  }
  function send(kind, sku, more) {
    if (!consent || !token) return;
    var event = { kind: kind };
    if (sku) event.sku = String(sku);
    if (more && more.launches_at) event.launches_at = more.launches_at;
    if (batch.push(event) === 1) w.setTimeout(flush, 0);
  }
  function added(sku) { send("added_to_cart", sku); }
  function removed(sku) { send("removed_from_cart", sku); }
  function without(list, other) {
    return list.filter(function (sku) { return other.indexOf(sku) < 0; });
  }
  var calls = {
    consent: function (yes) {
      consent = yes === true;
      if (consent) restore(); else forget();
    },
    identify: function (text) {
      var isNew = text !== token;
      token = String(text || "");
      store();
      if (isNew) (cart || []).forEach(added);
    },
    forget: forget,
    viewed: function (sku, more) { send("viewed", sku, more); },
    added: added,
    removed: removed,
    ordered: function () { cart = []; store(); },
    cart: function (skus) {
      var now = skus.map(String), before = cart || [];
      without(now, before).forEach(added);
      without(before, now).forEach(removed);
      if (before.length && !now.length) send("cart_emptied");
      cart = now;
      store();
    }
  };
  function run(args) {
    var call = calls[args[0]];
    if (call) call(args[1], args[2]); else w.console.warn("takk: unknown call", args[0]);
  }

  var here = new URL(w.location.href), given = here.searchParams.get(KEY);
  if (given) {
    token = token || given;
    here.searchParams.delete(KEY);
    w.history.replaceState(w.history.state, "", here.href);
  }
  if (consent) restore();
  var waiting = w.takk && w.takk.q || [];
  w.takk = function () { run(arguments); };
  waiting.forEach(run);
})(window, document);
