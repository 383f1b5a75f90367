/* The picture of the chosen sound: level by time and frequency, on canvases that lie under the player's slider. It is
   computed from the decoded sounds, in the page, a few milliseconds at a time. */

const mel = (hz) => 2595 * Math.log10(1 + hz / 700); // O'Shaughnessy 1987
const VIEWS = { // seconds of a window; Hz; how frequencies are spaced
  whole: {window: 0.043, low: 0, high: 20000, place: mel, hz: (m) => 700 * (10 ** (m / 2595) - 1), ticks: [250, 1000, 2000, 4000, 8000, 16000]},
  tones: {window: 0.17, low: 60, high: 1500, place: (hz) => hz, hz: (hz) => hz, ticks: [250, 500, 750, 1000, 1250]},
};
const ROWS = 256, MOST_COLUMNS = 1200, RANGE_DB = 80, DIFFERENCE_DB = 30;
const COLOURS = { // from quiet to loud, and from too quiet to too loud
  level: {
    light: ["#fcfcfa", "#dfe3f4", "#b3bce6", "#808ad2", "#5b4fb4", "#57208e", "#4a0a5c", "#2d0430", "#120010"],
    dark: ["#000004", "#1d1147", "#51127c", "#822681", "#b73779", "#e65164", "#fb8861", "#fec287", "#fcfdbf"],
  },
  difference: {light: ["#08519c", "#6baed6", "#fcfcfa", "#f4845f", "#a50f15"], dark: ["#9ecae1", "#2171b5", "#14171a", "#cb4b2b", "#fdbe85"]},
};
const DARK = matchMedia("(prefers-color-scheme: dark)");

/* Powers |X[k]|^2, k < size / 2, of real frames of a power of two samples: the iterative transform of Cooley and Tukey. */
class PowerSpectrum {
  constructor(size) {
    this.size = size;
    this.window = Float64Array.from({length: size}, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size)); // Hann
    this.cosines = Float64Array.from({length: size / 2}, (_, i) => Math.cos((2 * Math.PI * i) / size));
    this.sines = Float64Array.from({length: size / 2}, (_, i) => -Math.sin((2 * Math.PI * i) / size));
    this.order = new Uint32Array(size); // bits reversed
    for (let i = 1; i < size; i++) this.order[i] = (this.order[i >> 1] >> 1) | (i & 1 ? size >> 1 : 0);
    [this.real, this.imaginary, this.powers] = [size, size, size / 2].map((length) => new Float64Array(length));
  }

  /* The frame begins at that sample, which may be before the sound; outside is silence. */
  of(samples, start) {
    const {size, real, imaginary, cosines, sines} = this;
    imaginary.fill(0);
    for (let i = 0; i < size; i++) real[this.order[i]] = (samples[start + i] ?? 0) * this.window[i];
    for (let half = 1; half < size; half *= 2) {
      const stride = size / (2 * half);
      for (let block = 0; block < size; block += 2 * half) {
        for (let k = 0; k < half; k++) {
          const a = block + k, b = a + half, c = cosines[k * stride], s = sines[k * stride];
          const re = real[b] * c - imaginary[b] * s, im = real[b] * s + imaginary[b] * c;
          real[b] = real[a] - re; imaginary[b] = imaginary[a] - im;
          real[a] += re; imaginary[a] += im;
        }
      }
    }
    for (let k = 0; k < size / 2; k++) this.powers[k] = (real[k] ** 2 + imaginary[k] ** 2) * (4 / size) ** 2;
    return this.powers;
  }
}

class SoundPicture {
  constructor(root, sounds) {
    this.root = root;
    this.sounds = sounds;
    this.kept = new Map(); // powers, of sounds seen in this view
    this.turn = 0; // counts what was asked for: only the last is drawn
    this.part = (selector) => root.querySelector(selector);
    for (const name of ["zoomed", "sides", "minus"]) {
      this.part(`.${name}`)?.addEventListener("change", () => {
        if (name === "zoomed") this.kept.clear();
        this.draw();
      });
    }
    DARK.addEventListener("change", this.redraw = () => this.draw());
  }

  close() { DARK.removeEventListener("change", this.redraw); }

  get view() { return VIEWS[this.part(".zoomed").checked ? "tones" : "whole"]; }

  /* Draw what is chosen; does nothing where the sounds cannot be decoded (the player says so when it is asked to play). */
  async draw() {
    const turn = ++this.turn, {sounds} = this;
    try { await sounds.decode(); } catch { return; }
    const index = sounds.chosen, minus = Boolean(this.part(".minus")?.checked) && index > 0;
    const sides = Boolean(this.part(".sides")?.checked) && sounds.buffers[index].numberOfChannels > 1;
    const levels = async (which) => {
      const powers = await this.powers(which, () => turn !== this.turn);
      return powers && (sides ? powers : [mean(powers)]).map((one) => one.map((power) => 10 * Math.log10(power + 1e-20)));
    };
    const [first, chosen] = [await levels(0), await levels(index)];
    if (turn !== this.turn) return;
    const gain = sounds.matched ? sounds.sounds.map((sound) => sound.gain) : sounds.sounds.map(() => 0);
    const top = first.reduce((most, one) => one.reduce((a, b) => Math.max(a, b), most), -200);
    const floor = top - RANGE_DB, colours = COLOURS[minus ? "difference" : "level"][DARK.matches ? "dark" : "light"];
    this.legend(colours, minus);
    this.part(".pictures").replaceChildren(...chosen.map((one, side) => {
      const original = first[Math.min(side, first.length - 1)];
      const share = minus
        ? (level, i) => 0.5 + (Math.max(level + gain[index], floor) - Math.max(original[i] + gain[0], floor)) / (2 * DIFFERENCE_DB)
        : (level) => (level + gain[index] - floor) / RANGE_DB;
      return this.panel(painted(one.map(share), colours), sides ? ["left", "right"][side] : "");
    }));
    this.part(".seek").classList.add("drawn");
  }

  panel(canvas, name) {
    const {low, high, place, ticks} = this.view, panel = document.createElement("div");
    const tick = (text, side, share) => {
      const span = Object.assign(document.createElement("span"), {textContent: text, className: side});
      span.style[side] = `${100 * share}%`;
      return span;
    };
    panel.append(canvas, ...ticks.map((hz) =>
      tick(hz < 1000 || hz % 1000 ? `${hz} Hz` : `${hz / 1000} kHz`, "bottom", (place(hz) - place(low)) / (place(high) - place(low)))));
    const {duration} = this.sounds, step = [0.5, 1, 2, 5, 10, 20, 60].find((seconds) => duration / seconds <= 6) ?? duration / 6;
    for (let at = step; at < 0.97 * duration; at += step) panel.append(tick(`${at} s`, "left", at / duration));
    if (name) panel.append(Object.assign(document.createElement("b"), {textContent: name}));
    return panel;
  }

  legend(colours, minus) {
    this.part(".legend").hidden = false;
    this.part(".legend i").style.background = `linear-gradient(90deg, ${colours})`;
    [this.part(".legend .from-db").textContent, this.part(".legend .to-db").textContent] =
      minus ? [`${DIFFERENCE_DB} dB too quiet`, `${DIFFERENCE_DB} dB too loud`] : [`−${RANGE_DB} dB`, "loudest"];
  }

  /* Of each channel the powers by row and column, from low to high; nothing where it is not wanted any more. */
  async powers(index, stale) {
    if (this.kept.has(index)) return this.kept.get(index);
    const buffer = this.sounds.buffers[index], {window, low, high, place, hz} = this.view;
    const spectrum = new PowerSpectrum(2 ** Math.round(Math.log2(window * buffer.sampleRate)));
    const columns = Math.min(MOST_COLUMNS, Math.ceil((4 * buffer.length) / spectrum.size)), hop = buffer.length / columns;
    const bins = Array.from({length: ROWS}, (_, row) =>
      (hz(place(low) + ((row + 0.5) / ROWS) * (place(high) - place(low))) / buffer.sampleRate) * spectrum.size);
    const channels = [];
    let rested = performance.now();
    for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
      const samples = buffer.getChannelData(channel), powers = new Float32Array(columns * ROWS);
      for (let column = 0; column < columns; column++) {
        const found = spectrum.of(samples, Math.round((column + 0.5) * hop - spectrum.size / 2));
        for (let row = 0; row < ROWS; row++) powers[row * columns + column] = between(found, bins, row);
        if (performance.now() - rested > 12) {
          await new Promise((resolve) => setTimeout(resolve));
          if (stale()) return null;
          rested = performance.now();
        }
      }
      channels.push(powers);
    }
    this.kept.set(index, channels);
    return channels;
  }
}

/* The largest power of a row's bins where rows are wider than bins, else between the nearest two; 0 above the last bin. */
function between(powers, bins, row) {
  const bin = Math.floor(bins[row]), last = row + 1 < ROWS ? Math.floor(bins[row + 1]) : bin + 1;
  if (bin + 1 >= powers.length) return 0;
  let most = powers[bin] + (bins[row] - bin) * (powers[bin + 1] - powers[bin]);
  for (let other = bin + 1; other < last && other < powers.length; other++) most = Math.max(most, powers[other]);
  return most;
}

const mean = (channels) => channels[0].map((power, i) => channels.reduce((sum, one) => sum + one[i], 0) / channels.length);

/* A canvas of shares between 0 and 1, the first row at the bottom. */
function painted(shares, colours) {
  const canvas = document.createElement("canvas"), columns = shares.length / ROWS;
  [canvas.width, canvas.height] = [columns, ROWS];
  const context = canvas.getContext("2d"), image = context.createImageData(columns, ROWS);
  const table = ramp(colours), pixels = new Uint32Array(image.data.buffer);
  for (let row = 0; row < ROWS; row++) {
    for (let column = 0; column < columns; column++) {
      const share = Math.min(255, Math.max(0, Math.round(255 * shares[row * columns + column])));
      pixels[(ROWS - 1 - row) * columns + column] = table[share];
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/* 256 colours through the given ones, as pixels. */
function ramp(colours) {
  const bytes = new Uint8ClampedArray(4 * 256);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (colours.length - 1), at = Math.min(Math.floor(place), colours.length - 2);
    for (let c = 0; c < 3; c++) {
      const [a, b] = [at, at + 1].map((one) => parseInt(colours[one].slice(1 + 2 * c, 3 + 2 * c), 16));
      bytes[4 * i + c] = a + (place - at) * (b - a);
    }
    bytes[4 * i + 3] = 255;
  }
  return new Uint32Array(bytes.buffer);
}
