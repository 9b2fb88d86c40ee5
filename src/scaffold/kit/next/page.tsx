"use client";

// Its key and the server's URL come from .env.local at the project's root: see .env.example.
import { useEffect } from "react";
import "./support.css";

export default function Support() {
  // An element of the browser: its module is loaded there only.
  useEffect(() => {
    void import("./vicket-support.js");
  }, []);
  return (
    <main className="vicket-page">
      <vicket-support />
    </main>
  );
}
