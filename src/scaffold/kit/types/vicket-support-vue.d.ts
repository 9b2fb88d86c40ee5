// What Vue's templates know of <vicket-support>. That it is no component of Vue, its compiler is told by
// `compilerOptions.isCustomElement: (tag) => tag === "vicket-support"`.
import type { HTMLAttributes } from "vue";

declare module "vue" {
  interface GlobalComponents {
    "vicket-support": new () => {
      $props: HTMLAttributes & {
        server?: string;
        "publishable-key"?: string;
        "next-key"?: string;
        routing?: "hash" | "history" | "memory";
      };
    };
  }
}
