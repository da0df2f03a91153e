// The sound: one audio element. What is played is always a plan of the server's, also one that is still being made.
import { clock, find } from "./words.js";

const PREVIEW = 5; // seconds on both sides of a seam
const audio = find("audio"), play = find("play");
const listeners = [];
let stopAt = Infinity;
let extra; // a short sound of its own, such as an alternative

export const player = {
  audio,
  duration: 0,
  get now() { return audio.currentTime; },
  get playing() { return !audio.paused; },
  get stopsAt() { return stopAt; },
  onMove(told) { listeners.push(told); },

  // Go over to another sound at the same moment, playing on if it played.
  change(address, duration, { playing = player.playing, at = audio.currentTime } = {}) {
    player.duration = duration;
    const whole = new URL(address, document.baseURI).href;
    if (audio.src === whole) return;
    stopAt = Infinity;
    audio.src = whole;
    audio.currentTime = Math.min(at, Math.max(0, duration - 1));
    if (playing) player.start();
  },
  start() { player.hush(); audio.play().catch(() => {}); },
  pause() { stopAt = Infinity; audio.pause(); },
  toggle() { stopAt = Infinity; if (audio.paused) player.start(); else audio.pause(); },
  seek(seconds) {
    stopAt = Infinity;
    audio.currentTime = Math.min(Math.max(seconds, 0), player.duration);
    tell();
  },
  preview(at) {
    audio.currentTime = Math.max(0, at - PREVIEW);
    stopAt = Math.min(player.duration, at + PREVIEW);
    player.start();
  },
  // Play a short sound by itself; its button shows that it does.
  hear(address, button) {
    const same = extra && !extra.paused && extra.button === button;
    player.hush();
    audio.pause();
    if (same) return;
    extra = new Audio(address);
    extra.button = button;
    button.setAttribute("aria-pressed", "true");
    extra.addEventListener("ended", () => player.hush());
    extra.play().catch(() => player.hush());
  },
  hush() {
    if (!extra) return;
    extra.pause();
    extra.button.setAttribute("aria-pressed", "false");
    extra = undefined;
  },
};

const tell = () => {
  find("clock").textContent = `${clock(audio.currentTime)} / ${clock(player.duration)}`;
  listeners.forEach((told) => told(audio.currentTime));
};

const follow = () => {
  if (audio.currentTime >= stopAt) { audio.pause(); stopAt = Infinity; }
  tell();
  if (!audio.paused) requestAnimationFrame(follow);
};
audio.addEventListener("play", () => { play.textContent = "Pause"; follow(); });
audio.addEventListener("pause", () => { play.textContent = "Play"; tell(); });
for (const name of ["timeupdate", "seeked", "loadedmetadata"]) { // a page in the background gets no animation frames
  audio.addEventListener(name, () => { if (audio.currentTime >= stopAt) audio.pause(); tell(); });
}
play.addEventListener("click", player.toggle);
find("back").addEventListener("click", () => player.seek(audio.currentTime - 5));
find("forward").addEventListener("click", () => player.seek(audio.currentTime + 5));
