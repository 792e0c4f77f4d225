import { byId } from "./dom.ts";

const KEY = "florence2-playground.theme";
const NEXT = { system: "light", light: "dark", dark: "system" } as const;
type Theme = keyof typeof NEXT;

/** The switch between the system's colours, light and dark. */
export function listenToTheme(): void {
  const button = byId("theme");
  const show = (theme: Theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.setAttribute("aria-label", `Colours: ${theme}`);
    button.title = `Colours: ${theme}`;
    button.dataset.theme = theme;
  };
  let theme = kept();
  show(theme);
  button.addEventListener("click", () => {
    theme = NEXT[theme];
    show(theme);
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // The choice holds until the page is closed.
    }
  });
}

function kept(): Theme {
  try {
    const found = localStorage.getItem(KEY) ?? "";
    return found in NEXT ? (found as Theme) : "system";
  } catch {
    return "system";
  }
}
