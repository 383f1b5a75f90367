/* The element that shows a result: its HTML is an attribute, so that the page may change it at any time. */

const resultStyle = new CSSStyleSheet();
resultStyle.replaceSync(RESULT_CSS);

/* Sounds that lie in files: fetched when first needed. */
class FetchedSounds extends SyncedSounds {
  async bytes(sound) {
    const answer = await fetch(sound.uri);
    if (!answer.ok) throw new Error("the sound is no longer there; make it again");
    return answer.arrayBuffer();
  }
}

class ResultPlayer extends Transport {
  constructor(root) {
    const buttons = [...root.querySelectorAll(".sound")];
    const sounds = buttons.map((button) => ({uri: button.dataset.uri, gain: Number(button.dataset.gain)}));
    super(root, new FetchedSounds(sounds, Number(root.dataset.rate)), Number(root.querySelector(".seek input").max));
    this.buttons = buttons;
    this.other = 1; // what the original is compared with by one key
    this.picture = new SoundPicture(root, this.sounds);
    buttons.forEach((button, index) => button.addEventListener("click", () => this.choose(index)));
    this.part(".matched").addEventListener("change", (event) => {
      this.sounds.match(event.target.checked);
      this.picture.draw();
    });
    this.choose(Math.max(0, buttons.findIndex((button) => button.getAttribute("aria-pressed") === "true")));
  }

  choose(index) {
    if (!this.buttons[index]) return;
    if (index) this.other = index;
    this.sounds.choose(index);
    this.buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(other === index)));
    this.part(".current").textContent = this.buttons[index].querySelector(".label").textContent;
    this.picture.draw();
  }

  key(key) {
    if (super.key(key)) return true;
    const boxes = {d: ".minus", z: ".zoomed", s: ".sides"};
    if (key in boxes) this.part(boxes[key])?.click();
    else if (key === "a") this.choose(this.sounds.chosen ? 0 : this.other);
    else if (key >= "1" && key <= "9" && key.length === 1) this.choose(Number(key) - 1);
    else return false;
    return true;
  }
}

class NoisebookResult extends HTMLElement {
  static observedAttributes = ["content"];
  static kept = 8; // results that can be seen again: those whose files the server keeps for a page

  past = new Map(); // token -> its content
  changed = false; // whether the settings beside it are others by now

  attributeChangedCallback() {
    const content = document.createElement("template");
    content.innerHTML = this.getAttribute("content");
    const shadow = this.shadowRoot ?? this.open(), coming = content.content.querySelector(".result");
    const token = coming?.dataset.token;
    const numbers = token && this.past.has(token) && !("ready" in coming.dataset); // come after the sound
    if (!token) this.changed = false; // a message: what is made from now on is of the settings as they are
    else this.past.set(token, this.getAttribute("content"));
    while (this.past.size > NoisebookResult.kept) this.past.delete(this.past.keys().next().value);
    const shown = shadow.querySelector(".result");
    if (token && shown?.dataset.token === token) { // its numbers have come: they are put in, and what plays goes on
      shown.querySelector(".details").replaceWith(coming.querySelector(".details"));
      return;
    }
    if (numbers) return; // of a result that is no longer shown: they are kept for when it is shown again
    this.show(content.content);
    const below = this.getBoundingClientRect().top > innerHeight / 2; // on a phone
    if (token && !("ready" in coming.dataset) && below) this.scrollIntoView({behavior: "smooth"});
  }

  show(content) {
    this.silence();
    this.shadowRoot.replaceChildren(content, this.history(content.querySelector(".result")?.dataset.token));
    const root = this.shadowRoot.querySelector(".player");
    if (root) Transport.all.push(this.player = root.player = new ResultPlayer(root));
    this.stale(this.changed);
  }

  disconnectedCallback() { this.silence(); }

  open() {
    const shadow = this.attachShadow({mode: "open"});
    shadow.adoptedStyleSheets = [resultStyle];
    shadow.addEventListener("keydown", (event) => {
      if (this.player && !keyIsTaken(event) && this.player.key(event.key)) event.preventDefault();
    });
    shadow.addEventListener("click", (event) => {
      const element = event.target.closest(".permalink, .reuse, .again");
      if (element?.matches(".permalink")) copyLink(event, element);
      if (element?.matches(".reuse")) this.dispatchEvent(new CustomEvent("reuse", {bubbles: true, detail: {...element.dataset}}));
      if (element?.matches(".again")) this.again(element.dataset.token);
    });
    return shadow;
  }

  /* Buttons for the results before, the newest first. */
  history(token) {
    const others = [...this.past].filter(([other]) => other !== token).reverse();
    const list = document.createElement("nav");
    list.className = "history";
    list.hidden = !others.length;
    list.append(Object.assign(document.createElement("h2"), {textContent: "Other results of this page"}));
    for (const [other, html] of others) {
      const title = new DOMParser().parseFromString(html, "text/html").querySelector(".result").dataset.title;
      const button = Object.assign(document.createElement("button"), {type: "button", className: "again", textContent: title});
      button.dataset.token = other;
      list.append(button);
    }
    return list;
  }

  again(token) {
    const content = document.createElement("template");
    content.innerHTML = this.past.get(token);
    this.changed = true; // the settings beside it may be others
    this.show(content.content);
    this.shadowRoot.querySelector(".play").focus();
  }

  /* Say whether the settings are no longer those of the result. */
  stale(changed = true) {
    this.changed = changed;
    const notice = this.shadowRoot?.querySelector(".stale");
    if (notice) notice.hidden = !changed;
  }

  silence() {
    if (!this.player) return;
    if (this.player.sounds.playing) this.player.sounds.stop();
    this.player.picture.close();
    Transport.all = Transport.all.filter((other) => other !== this.player);
    this.player = null;
  }
}
customElements.define("noisebook-result", NoisebookResult);

/* Copied where the page may write to the clipboard (on this machine, or over TLS); else the link is one. */
function copyLink(event, link) {
  if (!navigator.clipboard) return;
  event.preventDefault();
  navigator.clipboard.writeText(link.href).then(() => { link.textContent = "copied"; }, () => { location.href = link.href; });
}

/* A file may be dropped anywhere, and in place of what is there: a stream to be opened, else a sound. */
document.addEventListener("dragover", (event) => {
  if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
});
document.addEventListener("drop", async (event) => {
  const files = event.dataTransfer?.files;
  if (event.defaultPrevented || !files?.length) return; // Gradio's own place has it
  event.preventDefault();
  const stream = files[0].name.toLowerCase().endsWith(".ddcm");
  document.querySelectorAll("[role=tab]")[stream ? 1 : 0].click();
  const within = (selector) => document.querySelector(`${stream ? "#upload" : "#sound"} ${selector}`);
  within("[aria-label=Clear]")?.click();
  do await new Promise((resolve) => setTimeout(resolve, 50)); while (!within("input[type=file]")); // it is put there anew
  const input = within("input[type=file]");
  input.files = files;
  input.dispatchEvent(new Event("change", {bubbles: true}));
});

/* A sentence where Gradio would only say that a connection was lost. */
async function watchServer() {
  const alive = await fetch("alive", {cache: "no-store"}).then((answer) => answer.ok, () => false);
  document.getElementById("stopped")?.remove();
  if (!alive) {
    const banner = document.createElement("p");
    banner.id = "stopped";
    banner.setAttribute("role", "alert");
    banner.textContent = "The studio has stopped: start it again (noisebook studio), then load this page anew.";
    document.body.append(banner);
  }
  setTimeout(watchServer, 2000);
}
setTimeout(watchServer, 2000);
