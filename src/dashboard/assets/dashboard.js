// Comfort on top of pages that work without it: copying, choices that act at once. Those of tickets have desk.js besides,
// editors have editors.js.
const all = (selector, within = document) => [...within.querySelectorAll(selector)]

// A key is shown once: neither a reload nor the way back may send its form again, and no kept page may come back.
const once = document.querySelector('[data-once]')
if (once) {
  history.replaceState(null, '', once.dataset.once)
  addEventListener('pageshow', (event) => event.persisted && location.replace(once.dataset.once))
}

for (const button of all('[data-copy]')) {
  button.hidden = false
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent)
    button.textContent = 'Copied'
  })
}

// A choice that acts at once; without this there is a button beside it.
document.documentElement.classList.add('scripted')
addEventListener('change', ({ target }) => target.matches('select[data-submit]') && target.form.requestSubmit())

// What was typed and not sent is kept in this browser, and is nobody's once its owner has logged out.
const DRAFTS = 'vicket-draft:'
addEventListener('submit', ({ target }) => {
  if (!target.matches('.me')) return
  for (const name of Object.keys(localStorage)) if (name.startsWith(DRAFTS)) localStorage.removeItem(name)
})

// A list of links is gone through with j and k.
function step(by) {
  const links = all('[data-row]')
  const at = links.indexOf(document.activeElement)
  links[at < 0 ? 0 : Math.min(Math.max(at + by, 0), links.length - 1)]?.focus()
}
// Whether a key that was pressed is a command: not part of a text, and not switched off.
const isCommand = (event) =>
  !event.defaultPrevented && !event.ctrlKey && !event.metaKey && !event.altKey && localStorage.getItem('vicket-keys') !== 'off' &&
  !event.target.closest('input, textarea, select, [contenteditable], dialog')
addEventListener('keydown', (event) => {
  const by = { j: 1, k: -1 }[event.key]
  if (!by || !isCommand(event) || document.querySelector('.desk')) return
  event.preventDefault()
  step(by)
})
