"use strict";
/* Sounds that run in step, of which one is heard.

   All of them start at the same instant of the audio clock and keep running; choosing one only opens its gain and
   closes the others', so the place is kept to the sample. Sounds are data URIs, decoded when first needed. */
class SyncedSounds {
  constructor(sounds, sampleRate) { // sounds: [{uri, gain}], gain in dB
    this.sounds = sounds;
    this.sampleRate = sampleRate;
    this.chosen = 0;
    this.matched = true; // whether gains are applied
    this.loop = null; // {from, to} in seconds
    this.offset = 0; // where the sounds were when they were last started or stopped
    this.sources = [];
    this.onstop = () => {};
  }

  /* Decode everything, once: `load` where it shall be heard, `decode` where it is only looked at. At the sounds' own
     rate nothing is resampled; where the browser cannot open a context at that rate, it resamples all of them alike. */
  load() {
    SyncedSounds.context(this.sampleRate).resume(); // within the gesture that asked for sound
    return this.decode();
  }

  decode() {
    this.loading ??= this.#decode();
    return this.loading;
  }

  bytes(sound) { return bytesOf(sound.uri); }

  static contexts = new Map(); // by sample rate: a browser has only a few to give

  static context(sampleRate) {
    if (!this.contexts.has(sampleRate)) this.contexts.set(sampleRate, openContext(sampleRate));
    return this.contexts.get(sampleRate);
  }

  async #decode() {
    this.context = SyncedSounds.context(this.sampleRate);
    const bytes = await Promise.all(this.sounds.map((sound) => this.bytes(sound)));
    const decoded = await Promise.all(bytes.map((one) => this.context.decodeAudioData(one)));
    const length = Math.max(...decoded.map((buffer) => buffer.length));
    this.buffers = decoded.map((buffer) => this.#padded(buffer, length));
    this.duration = this.buffers[0].duration;
    this.gains = this.sounds.map(() => {
      const gain = new GainNode(this.context, {gain: 0});
      gain.connect(this.context.destination);
      return gain;
    });
    this.#level(0);
  }

  #padded(buffer, length) {
    if (buffer.length === length) return buffer;
    const whole = new AudioBuffer({length, numberOfChannels: buffer.numberOfChannels, sampleRate: buffer.sampleRate});
    for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
      whole.copyToChannel(buffer.getChannelData(channel), channel);
    }
    return whole;
  }

  get playing() { return this.sources.length > 0; }

  get position() {
    if (!this.playing) return this.offset;
    const now = this.offset + Math.max(0, this.context.currentTime - this.startedAt);
    if (!this.loop) return Math.min(now, this.duration);
    const {from, to} = this.loop;
    return now < to ? now : from + ((now - from) % (to - from));
  }

  /* Start all sounds at the current place; `load` first. */
  start() {
    if (this.playing) return;
    this.context.resume();
    if (this.loop && this.offset >= this.loop.to) this.offset = this.loop.from;
    if (this.offset >= this.duration) this.offset = 0;
    this.startedAt = this.context.currentTime + 0.01; // soon, and the same instant for all
    const sources = this.buffers.map((buffer, index) => {
      const source = new AudioBufferSourceNode(this.context, {buffer, loop: this.loop !== null});
      if (this.loop) [source.loopStart, source.loopEnd] = [this.loop.from, this.loop.to];
      source.connect(this.gains[index]);
      source.start(this.startedAt, this.offset);
      return source;
    });
    sources[0].onended = () => {
      if (this.sources !== sources) return; // stopped by hand
      this.sources = [];
      this.offset = 0;
      this.onstop();
    };
    this.sources = sources;
  }

  stop() {
    this.offset = this.position;
    for (const source of this.sources) source.stop();
    this.sources = [];
    this.onstop();
  }

  /* Run `change`, with the sounds stopped if they were running, and started again. */
  #restarting(change) {
    const running = this.playing;
    if (running) this.stop();
    change();
    if (running) this.start();
  }

  seek(seconds) {
    this.#restarting(() => { this.offset = Math.max(0, this.duration ? Math.min(seconds, this.duration) : seconds); });
  }

  setLoop(loop) {
    this.#restarting(() => { this.loop = loop; });
  }

  choose(index) {
    this.chosen = index;
    this.#level(0.005);
  }

  match(matched) {
    this.matched = matched;
    this.#level(0.005);
  }

  /* Open the gain of the chosen sound and close the others, over `seconds` so that it does not click. */
  #level(seconds) {
    if (!this.gains) return;
    const now = this.context.currentTime;
    this.gains.forEach((node, index) => {
      const level = index === this.chosen ? (this.matched ? 10 ** (this.sounds[index].gain / 20) : 1) : 0;
      node.gain.cancelScheduledValues(now);
      node.gain.setValueAtTime(node.gain.value, now);
      node.gain.linearRampToValueAtTime(level, now + seconds);
    });
  }
}

function openContext(sampleRate) {
  try {
    return new AudioContext({sampleRate});
  } catch (error) {
    if (error.name !== "NotSupportedError") throw error;
    return new AudioContext();
  }
}

function bytesOf(uri) {
  return Uint8Array.from(atob(uri.slice(uri.indexOf(",") + 1)), (letter) => letter.charCodeAt(0)).buffer;
}
