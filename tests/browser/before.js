"use strict";
// Errors are collected from the beginning; nothing may call for the reader's attention.
window.seen = { errors: [], alerts: 0 };
addEventListener("error", (event) => seen.errors.push(String(event.message)));
addEventListener("unhandledrejection", (event) => seen.errors.push(String(event.reason)));
console.error = (...words) => seen.errors.push(words.join(" "));
window.alert = () => { seen.alerts++; };
// Pointers made by a script cannot be captured.
Element.prototype.setPointerCapture = () => {};
