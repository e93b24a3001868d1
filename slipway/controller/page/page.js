// Show the values under the pointer. The charts need no script.
"use strict";
for (const timeline of document.querySelectorAll(".timeline")) {
  const data = JSON.parse(document.getElementById("data-" + timeline.dataset.track).textContent);
  const cursor = timeline.querySelector(".cursor");
  const tip = timeline.querySelector(".tip");
  const whole = data.width * data.bins.length;
  const ms = value => (value === null ? "–" : value >= 1000 ? (value / 1000).toFixed(2) + " s" : value.toFixed(value < 10 ? 1 : 0) + " ms");

  // With `begin`, in epoch seconds, the axis is a clock's.
  const moment = at => data.begin ? new Date(1000 * (data.begin + at)).toISOString().slice(0, 16).replace("T", " ") + " UTC" : at.toFixed(1) + " s";
  const answered = bin => data.begin ? bin.answered + " requests answered, " : Math.round(bin.answered / data.width) + " requests/s answered, ";

  const textAt = at => {
    const bin = data.bins[Math.min(data.bins.length - 1, Math.floor(at / data.width))];
    const phases = data.phases.filter(([, begin, seconds]) => at >= begin - data.width / 2 && at <= begin + seconds + data.width / 2);
    const lines = [
      moment(at) + (phases.length ? "  " + phases.map(([name]) => name).join(", ") : ""),
      answered(bin) + bin.failed + " failed",
      ...bin.errors,
      "p50 " + ms(bin.p50) + ", p95 " + ms(bin.p95) + ", p99 " + ms(bin.p99),
      ...bin.shares.map(([name, share]) => name + ": " + Math.round(100 * share) + " %"),
    ];
    return lines.join("\n");
  };

  timeline.addEventListener("pointermove", event => {
    const box = timeline.getBoundingClientRect();
    const part = (event.clientX - box.left) / box.width;
    cursor.hidden = tip.hidden = part < 0 || part > 1;
    if (tip.hidden) return;
    cursor.style.left = 100 * part + "%";
    tip.textContent = textAt(part * whole);
    const right = part > 0.6;
    tip.style.left = right ? "auto" : `calc(${100 * part}% + 12px)`;
    tip.style.right = right ? `calc(${100 * (1 - part)}% + 12px)` : "auto";
  });
  timeline.addEventListener("pointerleave", () => { cursor.hidden = tip.hidden = true; });
}
