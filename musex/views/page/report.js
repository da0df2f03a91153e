"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id);
  const [audio, wave, clock, status, play] = ["audio", "wave", "clock", "status", "play"].map(find);
  const PREVIEW = 5; // seconds on both sides of a seam
  let stopAt = Infinity;
  let previewed = 0; // the seam that is heard until `stopAt`

  const bytes = Uint8Array.from(atob(data.audio), (letter) => letter.charCodeAt(0));
  delete data.audio;
  audio.src = URL.createObjectURL(new Blob([bytes], { type: "audio/mpeg" }));

  const time = (seconds) => {
    const whole = Math.floor(seconds), hours = Math.floor(whole / 3600);
    const rest = `${Math.floor((whole % 3600) / 60)}:${String(whole % 60).padStart(2, "0")}`;
    return hours ? `${hours}:${rest.padStart(5, "0")}` : rest;
  };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const surfer = WaveSurfer.create({
    container: wave, media: audio, peaks: [data.peaks], duration: data.duration, height: 96, normalize: true,
    waveColor: colour("--wave"), progressColor: colour("--accent"), cursorColor: colour("--warn"), cursorWidth: 2,
  });
  const marks = [];
  const regions = surfer.registerPlugin(WaveSurfer.Regions.create());
  surfer.on("ready", () => {
    data.seams.forEach((at, number) => {
      const content = document.createElement("span");
      content.textContent = number + 1;
      content.style.cssText = `padding: 0 4px; font: 12px system-ui; cursor: pointer; color: ${colour("--card")}; background: ${colour("--forward")}`;
      marks.push(regions.addRegion({ id: `seam-${number}`, start: at, content, color: colour("--forward"), drag: false, resize: false }));
    });
  });
  regions.on("region-clicked", (region, event) => {
    event.stopPropagation();
    preview(Number(region.id.slice(5)));
  });
  surfer.on("interaction", () => { stopAt = Infinity; });

  const seek = (seconds) => {
    stopAt = Infinity;
    audio.currentTime = Math.min(Math.max(seconds, 0), data.duration);
    draw();
  };
  const preview = (number) => {
    const at = data.seams[previewed = number];
    audio.currentTime = Math.max(0, at - PREVIEW);
    stopAt = Math.min(data.duration, at + PREVIEW);
    status.textContent = `Seam ${number + 1} of ${data.seams.length}, at ${time(at)}`;
    audio.play();
  };
  // What is playing now counts as the seam one is at, so that "next" goes on from it.
  const step = (direction) => {
    const now = stopAt < Infinity ? data.seams[previewed] : audio.currentTime;
    const listed = data.seams.map((_, number) => number).filter((number) => !only() || isBeyond(number));
    const number = direction > 0 ? listed.find((n) => data.seams[n] > now + 0.05)
      : listed.filter((n) => data.seams[n] < now - 0.05).pop();
    if (number !== undefined) preview(number);
    else status.textContent = direction > 0 ? "There is no later seam." : "There is no earlier seam.";
  };

  // Where in the song a time of the output comes from, and which seam was last.
  const place = (seconds) => {
    let number = 0;
    while (number + 1 < data.spans.length && data.spans[number + 1][0] <= seconds) number += 1;
    const [begins, start] = data.spans[number];
    return [start + seconds - begins, number - 1];
  };
  const heads = [...document.querySelectorAll(".playhead")];
  const arcs = [...document.querySelectorAll(".arc")];
  const rows = [...document.querySelectorAll("tbody tr")];
  const dot = find("dot");
  const isBeyond = (number) => rows[number].querySelector("td.beyond") !== null;
  const only = () => document.body.classList.contains("only");
  arcs.forEach((arc, number) => { // a finger is wider than an arc
    const touch = arc.cloneNode();
    touch.setAttribute("class", "touch");
    touch.addEventListener("click", () => preview(number));
    arc.after(touch);
    [arc, touch, rows[number]].forEach((element) => element.classList.toggle("beyond", isBeyond(number)));
  });
  const some = data.seams.filter((_, number) => isBeyond(number)).length;
  find("only").hidden = some === 0 || some === data.seams.length;
  find("only").addEventListener("click", () => {
    find("only").setAttribute("aria-pressed", document.body.classList.toggle("only"));
    marks.forEach((mark, number) => { mark.element.hidden = only() && !isBeyond(number); });
  });

  // Zoomed in, an overview shows which part of the sound the waveform is.
  const overview = find("overview"), shown = find("shown");
  let zoom = 1;
  let small; // it is drawn when it is first seen
  const drawOverview = () => {
    small = WaveSurfer.create({
      container: overview, peaks: [data.peaks], duration: data.duration, height: 28, normalize: true,
      waveColor: colour("--wave"), progressColor: colour("--wave"), cursorWidth: 0,
    });
    small.on("interaction", (seconds) => seek(seconds));
  };
  surfer.on("scroll", (from, to) => {
    shown.style.left = `${(100 * from) / data.duration}%`;
    shown.style.width = `${(100 * (to - from)) / data.duration}%`;
  });
  const magnify = (factor) => {
    zoom = Math.min(Math.max(zoom * factor, 1), 64);
    overview.hidden = find("wider").disabled = zoom === 1;
    if (!small && zoom > 1) drawOverview();
    surfer.zoom((zoom * wave.clientWidth) / data.duration);
  };
  find("closer").addEventListener("click", () => magnify(2));
  find("wider").addEventListener("click", () => magnify(0.5));
  const draw = () => {
    const now = audio.currentTime, [source] = place(now);
    const text = time(now);
    clock.textContent = `${text} / ${time(Math.round(data.duration))}`;
    wave.setAttribute("aria-valuenow", now.toFixed(1));
    wave.setAttribute("aria-valuetext", text);
    heads.forEach((head) => head.setAttribute("transform", `translate(${(1000 * now) / data.duration} 0)`));
    dot.setAttribute("cx", 10 + (980 * source) / data.song);
    [arcs, rows].forEach((group) => group.forEach((element, number) =>
      element.classList.toggle("now", Math.abs(data.seams[number] - now) < 2)));
  };
  const follow = () => {
    if (audio.currentTime >= stopAt) {
      audio.pause();
      stopAt = Infinity;
    }
    draw();
    if (!audio.paused) requestAnimationFrame(follow);
  };
  audio.addEventListener("play", () => { play.textContent = "Pause"; follow(); });
  audio.addEventListener("pause", () => { play.textContent = "Play"; draw(); });
  // A page in the background gets no animation frames.
  ["timeupdate", "seeked"].forEach((name) => audio.addEventListener(name, () => {
    if (audio.currentTime >= stopAt) audio.pause();
    draw();
  }));

  const toggle = () => { stopAt = Infinity; if (audio.paused) audio.play(); else audio.pause(); };
  play.addEventListener("click", toggle);
  find("back").addEventListener("click", () => seek(audio.currentTime - 5));
  find("forward").addEventListener("click", () => seek(audio.currentTime + 5));
  find("previous").addEventListener("click", () => step(-1));
  find("next").addEventListener("click", () => step(1));
  document.querySelectorAll("[data-seam]").forEach((button) =>
    button.addEventListener("click", () => preview(Number(button.dataset.seam))));
  document.querySelectorAll(".charts svg").forEach((chart) => chart.addEventListener("click", (event) => {
    const box = chart.getBoundingClientRect();
    seek(((event.clientX - box.left) / box.width) * data.duration);
  }));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const onButton = event.target.closest("button, summary, a, pre");
    const scrolls = event.target.matches(".seams, .wide") && event.target.scrollWidth > event.target.clientWidth;
    const later = scrolls ? null : () => seek(audio.currentTime + 5);
    const earlier = scrolls ? null : () => seek(audio.currentTime - 5);
    const onWave = event.target === wave;
    const actions = {
      " ": onButton ? null : toggle, ArrowLeft: earlier, ArrowRight: later, n: () => step(1), p: () => step(-1),
      ArrowDown: onWave ? earlier : null, ArrowUp: onWave ? later : null, // as of any slider
      Home: onWave ? () => seek(0) : null, End: onWave ? () => seek(data.duration) : null,
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  draw();
})();
