/* The element that shows a result: its HTML is an attribute, so that the page may change it at any time. */

const resultStyle = new CSSStyleSheet();
resultStyle.replaceSync(RESULT_CSS);

/* Sounds that lie in files: fetched when first needed. */
class FetchedSounds extends SyncedSounds {
  load() {
    SyncedSounds.context(this.sampleRate).resume(); // within the gesture that asked for sound
    this.fetching ??= Promise.all(this.sounds.map(async (sound) => { sound.uri = await fetchedUri(sound.url); }));
    return this.fetching.then(() => super.load());
  }
}

async function fetchedUri(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error("the sound is no longer there; make it again");
  const blob = await answer.blob();
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

class ResultPlayer extends Transport {
  constructor(root) {
    const buttons = [...root.querySelectorAll(".sound")];
    const sounds = buttons.map((button) => ({url: button.dataset.uri, gain: Number(button.dataset.gain)}));
    super(root, new FetchedSounds(sounds, Number(root.dataset.rate)), Number(root.querySelector(".seek input").max));
    this.buttons = buttons;
    buttons.forEach((button, index) => button.addEventListener("click", () => this.choose(index)));
    this.part(".matched").addEventListener("change", (event) => this.sounds.match(event.target.checked));
  }

  choose(index) {
    if (!this.buttons[index]) return;
    this.sounds.choose(index);
    this.buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(other === index)));
    this.part(".current").textContent = this.buttons[index].querySelector(".label").textContent;
  }

  key(key) {
    if (super.key(key)) return true;
    if (key < "1" || key > "9" || key.length > 1) return false;
    this.choose(Number(key) - 1);
    return true;
  }
}

class NoisebookResult extends HTMLElement {
  static observedAttributes = ["content"];

  attributeChangedCallback() {
    const shadow = this.shadowRoot ?? this.open();
    if (this.complete(shadow)) return;
    this.silence();
    shadow.innerHTML = this.getAttribute("content");
    const root = shadow.querySelector(".player");
    if (!root) return;
    Transport.all.push(this.player = root.player = new ResultPlayer(root));
    if (this.getBoundingClientRect().top > innerHeight / 2) this.scrollIntoView({behavior: "smooth"}); // on a phone
  }

  /* Whether the content is the result that is shown already, with its numbers: these are put in, and what plays goes on. */
  complete(shadow) {
    const content = document.createElement("template");
    content.innerHTML = this.getAttribute("content");
    const [shown, coming] = [shadow, content.content].map((root) => root.querySelector(".result"));
    if (!shown || shown.dataset.token !== coming?.dataset.token) return false;
    shown.querySelector(".details").replaceWith(coming.querySelector(".details"));
    return true;
  }

  disconnectedCallback() { this.silence(); }

  open() {
    const shadow = this.attachShadow({mode: "open"});
    shadow.adoptedStyleSheets = [resultStyle];
    shadow.addEventListener("keydown", (event) => {
      if (this.player && !keyIsTaken(event) && this.player.key(event.key)) event.preventDefault();
    });
    return shadow;
  }

  silence() {
    if (!this.player) return;
    if (this.player.sounds.playing) this.player.sounds.stop();
    Transport.all = Transport.all.filter((other) => other !== this.player);
    this.player = null;
  }
}
customElements.define("noisebook-result", NoisebookResult);

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
