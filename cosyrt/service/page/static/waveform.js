// The picture of a sound: bars as loud as it is, those that were heard in another colour.

const BAR_PX = 3;
const SPACE_PX = 2;
const LEAST_S = 4; // of a sound that has just begun, so that its bars do not jump

/** Draw the loudness of a sound on a canvas, up to the position in seconds as heard. */
export function drawWave(canvas, sound, position) {
  const scale = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== width * scale || canvas.height !== height * scale) {
    Object.assign(canvas, { width: width * scale, height: height * scale });
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  if (!sound) return;
  const colours = getComputedStyle(canvas);
  const bars = Math.floor(width / (BAR_PX + SPACE_PX));
  const shown = shownSeconds(sound);
  for (let bar = 0; bar < bars; bar++) {
    const from = (bar / bars) * shown;
    if (from > sound.seconds) break;
    const level = loudest(sound.peaks, from, ((bar + 1) / bars) * shown);
    const tall = Math.max(2, Math.sqrt(level) * (height - 16));
    context.fillStyle = from < position ? colours.color : colours.caretColor;
    context.beginPath();
    context.roundRect(bar * (BAR_PX + SPACE_PX), (height - tall) / 2, BAR_PX, tall, BAR_PX / 2);
    context.fill();
  }
}

/** How many seconds the whole width of the picture stands for. */
export function shownSeconds(sound) {
  return Math.max(sound.seconds, sound.done ? 0.1 : LEAST_S);
}

function loudest(peaks, fromS, toS) {
  const from = Math.floor(fromS * 100);
  let most = 0;
  for (let i = from; i < Math.max(from + 1, Math.floor(toS * 100)); i++) most = Math.max(most, peaks[i] ?? 0);
  return most;
}
