/** The ways an image comes into the page: file, drop, paste, camera, address. */
import { byId } from "../dom.ts";
import { openCamera } from "./camera.ts";
import { openImage, openImageAt, type PageImage } from "./page_image.ts";

export interface InputListener {
  onImage(image: PageImage): void;
  /** Of an image that cannot be shown. */
  onFailure(error: unknown): void;
}

export function listenForImages({ onImage, onFailure }: InputListener): void {
  const take = (opening: Promise<PageImage>) => opening.then(onImage, onFailure);
  const takeFiles = async (files: Iterable<File>) => {
    // One after another: the last one is shown.
    for (const file of files) await take(openImage(file, file.name || "pasted.png"));
  };

  const picker = byId<HTMLInputElement>("file");
  byId("open-file").addEventListener("click", () => picker.click());
  picker.addEventListener("change", () => {
    void takeFiles([...picker.files!]);
    // The same file can be taken again.
    picker.value = "";
  });

  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    void takeFiles(files);
  });

  listenForDrops(takeFiles, (address) => take(openImageAt(address)));
  listenForAddress((address) => openImageAt(address).then(onImage));
  byId("open-camera").addEventListener("click", () => void openCamera((image) => onImage(image)));
}

function listenForDrops(onFiles: (files: File[]) => void, onAddress: (address: string) => void): void {
  const hint = byId("drop-hint");
  // Elements inside the page have enter and leave events of their own.
  let depth = 0;
  const show = () => {
    hint.hidden = depth <= 0;
  };
  const takes = (event: DragEvent) =>
    ["Files", "text/uri-list"].some((type) => event.dataTransfer?.types.includes(type));
  document.addEventListener("dragenter", (event) => {
    if (!takes(event)) return;
    depth++;
    show();
  });
  document.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    show();
  });
  document.addEventListener("dragover", (event) => {
    if (takes(event)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    depth = 0;
    show();
    if (!takes(event)) return;
    event.preventDefault();
    const files = [...event.dataTransfer!.files];
    const address = event.dataTransfer!.getData("text/uri-list").split(/\r?\n/)[0];
    if (files.length > 0) onFiles(files);
    else if (address) onAddress(address);
  });
}

/** The dialog for an address, which says itself why an image cannot be had. */
function listenForAddress(open: (address: string) => Promise<void>): void {
  const dialog = byId<HTMLDialogElement>("address-dialog");
  const field = byId<HTMLInputElement>("address");
  const problem = byId("address-problem");
  byId("open-address").addEventListener("click", () => {
    problem.textContent = "";
    dialog.showModal();
  });
  byId("address-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.textContent = "Fetching …";
    try {
      await open(field.value.trim());
      dialog.close();
    } catch (error) {
      problem.textContent = (error as Error).message;
      field.focus();
    }
  });
}
