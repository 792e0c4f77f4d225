/** Fetching images by the server's policy, for programs beside it. */
export { ApiError } from "../http/errors.ts";
export { type FetchOptions, ImageFetcher } from "./fetch_image.ts";
