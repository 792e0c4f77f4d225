import { byId } from "../dom.ts";
import { openImage, type PageImage } from "./page_image.ts";

/** Why a camera cannot be had, by the names that browsers give (Media Capture and Streams, 10.2). */
const PROBLEMS: Readonly<Record<string, string>> = {
  NotAllowedError: "The browser was not allowed to use a camera. Allow it beside the address, and try again.",
  NotFoundError: "There is no camera here.",
  NotReadableError: "Another program uses the camera.",
};

/** Shows the camera in a dialog until a picture is taken or the dialog is closed; then the camera is off. */
export async function openCamera(onImage: (image: PageImage) => void): Promise<void> {
  const dialog = byId<HTMLDialogElement>("camera-dialog");
  const video = byId<HTMLVideoElement>("camera");
  const problem = byId("camera-problem");
  const shutter = byId<HTMLButtonElement>("camera-take");
  problem.textContent = "The picture stays in this page until you ask about it.";
  shutter.disabled = true;
  dialog.showModal();
  let stream: MediaStream;
  try {
    if (!navigator.mediaDevices) throw new DOMException("no certificate", "SecurityError");
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    const { name } = error as Error;
    problem.textContent = PROBLEMS[name] ?? "A camera needs a page from https: or from this machine.";
    return;
  }
  const stop = () => {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
    shutter.onclick = null;
  };
  // Closed while the browser asked for leave.
  if (!dialog.open) return stop();
  dialog.addEventListener("close", stop, { once: true });
  video.srcObject = stream;
  await video.play().catch(() => {});
  shutter.disabled = false;
  shutter.focus();
  shutter.onclick = async () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d")!.drawImage(video, 0, 0);
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
    dialog.close();
    if (blob) onImage(await openImage(blob, "camera.png"));
  };
}
