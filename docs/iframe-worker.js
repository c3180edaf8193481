// The search of the site runs in a worker, which browsers refuse to a page that is opened from a file. There, this one
// runs it in a hidden frame. (The plugin `offline` would fetch such a script from a CDN.)
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.inner = frame.contentWindow;
      const page = this.inner.document;
      page.open();
      page.write("<!doctype html><title>search</title>");
      page.close();
      this.inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.inner.importScripts = (...urls) =>
        urls.reduce((before, source) => before.then(() => this.load(source)), Promise.resolve());
      this.ready = this.load(url);
    }

    load(source) {
      return new Promise((resolve, reject) => {
        const script = this.inner.document.createElement("script");
        script.src = source;
        script.onload = resolve;
        script.onerror = reject;
        this.inner.document.body.append(script);
      });
    }

    postMessage(data) {
      this.ready.then(() => this.inner.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}
