// What React knows of <vicket-support>.
import type { DetailedHTMLProps, HTMLAttributes } from "react";

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "vicket-support": DetailedHTMLProps<HTMLAttributes<HTMLElement>, HTMLElement> & {
        server?: string;
        "publishable-key"?: string;
        "next-key"?: string;
        routing?: "hash" | "history" | "memory";
      };
    }
  }
}
