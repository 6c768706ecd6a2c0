// Lets the search work on pages that are opened from a folder: browsers refuse workers there. The script of a worker
// runs in a hidden frame instead, and messages go to and fro between the two windows.
(function () {
  if (location.protocol !== "file:" || window.IFrameWorker) return;

  function IFrameWorker(url) {
    var worker = new EventTarget();
    var frame = document.createElement("iframe");
    frame.hidden = true;
    document.body.appendChild(frame);
    var inside = frame.contentWindow;
    var answer = function (data) { worker.dispatchEvent(new MessageEvent("message", { data: data })); };
    worker.onmessage = null;
    worker.addEventListener("message", function (event) { if (worker.onmessage) worker.onmessage(event); });
    worker.postMessage = function (data) { inside.dispatchEvent(new MessageEvent("message", { data: data })); };
    worker.terminate = function () { frame.remove(); };
    inside.document.open();
    inside.document.write("<!DOCTYPE html><html><body></body></html>");
    inside.document.close();
    // after open(), which forgets what was set before
    inside.postMessage = answer;
    inside.importScripts = function () {
      return Array.from(arguments).reduce(function (before, source) {
        return before.then(function () { return load(inside, source); });
      }, Promise.resolve());
    };
    worker.ready = load(inside, url).catch(function (error) {
      worker.dispatchEvent(new ErrorEvent("error", { message: String(error) }));
    });
    var post = worker.postMessage;
    worker.postMessage = function (data) { worker.ready.then(function () { post(data); }); };
    return worker;
  }

  function load(view, source) {
    return new Promise(function (resolve, reject) {
      var script = view.document.createElement("script");
      script.src = source;
      script.onload = function () { resolve(); };
      script.onerror = function () { reject(new Error(source + " cannot be loaded")); };
      view.document.body.appendChild(script);
    });
  }

  window.IFrameWorker = window.Worker = IFrameWorker;
})();
