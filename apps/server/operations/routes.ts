import type { Service } from "../engine/service.ts";
import type { ModelNames } from "../openai/model_names.ts";
import type { App } from "../openai/routes.ts";
import { docsPage } from "./docs_page.ts";
import { describeRoute } from "./openapi.ts";
import { version } from "./version.ts";

/** Health, version, metrics and documentation. */
export function addOperationRoutes(app: App, service: Service, names: ModelNames): void {
  describeRoute(app, { method: "get", path: "/livez", summary: "200 while the process answers" });
  app.get("/livez", (c) => c.json({ status: "ok" }));

  describeRoute(app, {
    method: "get",
    path: "/readyz",
    summary: "200 while requests are taken, else 503 with the reason",
  });
  for (const path of ["/readyz", "/health"]) {
    app.get(path, (c) => {
      const reason = service.unreadyReason;
      return c.json({ status: reason ?? "ready" }, reason ? 503 : 200);
    });
  }

  describeRoute(app, { method: "get", path: "/version", summary: "What runs" });
  app.get("/version", (c) =>
    c.json({ name: "florence2-server", version, model: names.own, device: service.device ?? null }),
  );

  describeRoute(app, {
    method: "get",
    path: "/metrics",
    summary: "Metrics for Prometheus",
    answerTypes: ["text/plain"],
  });
  app.get("/metrics", async () => {
    const { registry } = service.metrics;
    return new Response(await registry.metrics(), { headers: { "content-type": registry.contentType } });
  });

  app.get("/openapi.json", (c) => {
    const document = app.getOpenAPI31Document({
      openapi: "3.1.0",
      info: {
        title: "florence2-server",
        version,
        description: "Florence-2 by OpenAI's API, and by an API of its own.",
      },
      security: [{ key: [] }],
    });
    return c.json({
      ...document,
      components: { ...document.components, securitySchemes: { key: { type: "http", scheme: "bearer" } } },
    });
  });
  app.get("/docs", () => docsPage());
}
