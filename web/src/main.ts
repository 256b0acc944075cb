import "@fontsource/b612/latin-400.css";
import "@fontsource/b612/latin-700.css";
import "@fontsource/b612-mono/latin-400.css";
import "./theme.css";
import { mount } from "svelte";
import Page from "./Page.svelte";

const target = document.getElementById("app");
if (target) mount(Page, { target });
