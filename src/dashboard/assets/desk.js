// Tickets without page loads: pages come as the server renders them, and only what differs is put in place (idiomorph). What
// somebody types is never touched, is kept until it was sent, and is sent once.
const main = () => document.getElementById('main')
const parse = (html) => new DOMParser().parseFromString(html, 'text/html')
const desk = () => document.querySelector('.desk')
const here = () => location.pathname + location.search
const field = (kind) => document.getElementById(kind)

// --- showing a page ---------------------------------------------------------------------------------------------------

// A text keeps what was typed as long as it is the same ticket's; what was opened stays open, a time that reads "5 min" too.
let before
let after
// Whether a page comes again by itself: what somebody is about to choose is not asked for by it.
let news = false
// Forms that are being sent.
const locked = new Set()
function keep(old, now) {
  if (old.nodeType !== 1 || now.nodeType !== 1) return
  if (old.matches('textarea[data-draft]') && now.matches('textarea') && before === after) return false
  // What stands for the text that is being written: the same as long as the text is, unless it was refused.
  if (old.matches('[data-held]') && before === after && old.form?.querySelector('textarea').value) return false
  if (before === after && old.matches('.files')) return false
  if (locked.has(old) || (news && old.matches('.filters, .bulk, .tickets input'))) return false
  if (old.matches('time') && old.getAttribute('datetime') === now.getAttribute('datetime')) return false
  if (old === document.activeElement && old.matches('select, input') && old.id === now.id) return false
}
const shown = (doc) => doc.querySelector('.desk')?.dataset.ticket ?? ''

function show(fresh, address, isNews = false) {
  news = isNews
  before = shown(document)
  after = shown(fresh)
  const same = before === after
  const focused = document.activeElement?.closest('[data-row]')?.getAttribute('href')
  document.title = fresh.title
  const callbacks = {
    beforeNodeMorphed: keep,
    beforeAttributeUpdated: (name, node) => !(same && name === 'open' && node.matches('details, dialog')),
  }
  Idiomorph.morph(main(), fresh.getElementById('main'), { callbacks })
  const [menu, menus] = [document.getElementById('menu'), fresh.getElementById('menu')]
  if (menu && menus) Idiomorph.morph(menu.querySelector('nav'), menus.querySelector('nav'))
  for (const { value } of [...fresh.querySelectorAll('[name=form_token]')].slice(0, 1)) renew(value)
  if (address && address !== here()) history.pushState(null, '', address)
  if (!same) {
    const scroller = document.getElementById('scroller')
    if (scroller) scroller.scrollTop = 0
    ;(document.getElementById('subject') ?? main()).focus({ preventScroll: true })
    scrollTo(0, 0)
    document.querySelector('.list-pane [aria-current]')?.scrollIntoView({ block: 'nearest' })
  } else if (focused) {
    all('[data-row]').find((link) => link.getAttribute('href') === focused)?.focus({ preventScroll: true })
  }
  ready()
}
// A page has a token of its own; one that somebody logged in for anew has another.
function renew(token) {
  for (const input of all('[name=form_token]')) input.value = token
}

// The last page that was asked for is the one that is shown.
let turn = 0
async function visit(address, { push = true } = {}) {
  const mine = ++turn
  flush()
  let answer
  try {
    answer = await fetch(address, { headers: { Accept: 'text/html' } })
  } catch {
    return say('No connection: the page stays as it is.')
  }
  const fresh = parse(await answer.text())
  if (mine !== turn) return
  // Whatever is no page of tickets is the browser's to show.
  if (!answer.ok || answer.redirected || !fresh.querySelector('.desk, .inbox')) return location.assign(address)
  show(fresh, push ? address : undefined)
}
async function refresh() {
  const mine = turn
  const answer = await fetch(here(), { headers: { Accept: 'text/html' } }).catch(() => undefined)
  if (!answer?.ok || answer.redirected || mine !== turn) return
  const fresh = parse(await answer.text())
  if (mine === turn && fresh.getElementById('main')) show(fresh, undefined, true)
}
addEventListener('popstate', () => visit(here(), { push: false }))

addEventListener('click', (event) => {
  const link = event.target.closest('a[href]')
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
  if (!link.closest('.desk, .inbox') || link.target || link.hasAttribute('download') || link.origin !== location.origin) return
  if (!/^\/dashboard\/[^/]+\/inbox(\/|$)/.test(link.pathname)) return
  event.preventDefault()
  visit(link.href)
})

// --- what is typed ----------------------------------------------------------------------------------------------------

const nameOf = (text) => `${DRAFTS}${shown(document)}:${text.dataset.draft}`
function ready() {
  for (const text of all('textarea[data-draft]')) {
    const kept = localStorage.getItem(nameOf(text))
    if (kept !== null && text.value !== kept && document.activeElement !== text) text.value = kept
    if (text.value && text.dataset.draft === 'note' && !field('reply')?.value) text.closest('details').open = true
  }
  for (const time of all('time[datetime]')) localise(time)
  for (const files of all('.files')) files.hidden = false
  for (const input of all('[data-offset]')) input.value = -new Date().getTimezoneOffset()
  const single = document.getElementById('single-keys')
  if (single) single.checked = localStorage.getItem('vicket-keys') !== 'off'
  tellIfNew()
}
addEventListener('input', ({ target }) => {
  if (!target.matches('textarea[data-draft]')) return
  typedAt = Date.now()
  tellIfNew()
  localStorage.setItem(nameOf(target), target.value)
  const draft = { name: nameOf(target), address: location.pathname, kind: target.dataset.draft, text: target.value }
  clearTimeout(timers[draft.name])
  timers[draft.name] = setTimeout(() => save(draft), 800)
})
// The server keeps it for every device; this browser does as long as the server has not said so.
const timers = {}
let saving = Promise.resolve()
function save({ name, address, kind, text }) {
  saving = (async () => {
    const token = document.querySelector('[name=form_token]').value
    const body = new URLSearchParams({ form_token: token, action: 'draft', kind, body: text })
    const answer = await fetch(address, { method: 'POST', body, redirect: 'manual' }).catch(() => undefined)
    if (answer?.status === 204 && localStorage.getItem(name) === text) localStorage.removeItem(name)
  })()
}

// --- files ------------------------------------------------------------------------------------------------------------

// They are chosen, dropped on a text or pasted into it, and are sent once its message is there.
const MAX_FILE = 10 * 1024 * 1024
const filesOf = (form) => form.querySelector('.files input')
function attach(form, files, before = [...filesOf(form).files]) {
  const input = filesOf(form)
  const large = files.filter(({ size }) => size > MAX_FILE)
  if (large.length) say(`Too large: ${large.map(({ name }) => name).join(', ')}. A file may have 10 MiB.`, { bad: true })
  const all = new DataTransfer()
  for (const file of [...before, ...files]) if (file.size <= MAX_FILE && all.items.length < 10) all.items.add(file)
  input.files = all.files
  list(form)
}
function list(form) {
  const input = filesOf(form)
  const names = [...input.files].map(({ name }) => name)
  const text = form.querySelector('.files span')
  text.replaceChildren(names.join(', '))
  if (!names.length) return
  const clear = Object.assign(document.createElement('button'), { type: 'button', className: 'quiet', textContent: 'Remove' })
  clear.addEventListener('click', () => {
    input.value = ''
    list(form)
  })
  text.append(' ', clear)
}
addEventListener('change', ({ target }) => {
  if (!target.matches('.files input')) return
  const large = [...target.files].some(({ size }) => size > MAX_FILE)
  if (large || target.files.length > 10) attach(target.form, [...target.files], [])
  else list(target.form)
})
addEventListener('paste', (event) => {
  const files = [...(event.clipboardData?.files ?? [])]
  if (!files.length || !event.target.matches('textarea[data-draft]')) return
  event.preventDefault()
  attach(event.target.form, files)
})
for (const kind of ['dragover', 'dragleave', 'drop']) {
  addEventListener(kind, (event) => {
    const text = event.target.closest?.('textarea[data-draft]')
    if (!text || !event.dataTransfer.types.includes('Files')) return
    text.classList.toggle('dropping', kind === 'dragover')
    if (kind === 'dragleave') return
    event.preventDefault()
    if (kind === 'drop') attach(text.form, [...event.dataTransfer.files])
  })
}
async function upload(files, ticket, message) {
  const body = new FormData()
  for (const file of files) body.append('file', file, file.name)
  const org = location.pathname.split('/')[2]
  const answer = await fetch(`/v1/orgs/${org}/tickets/${ticket}/messages/${message}/attachments`, { method: 'POST', body }).catch(() => undefined)
  if (answer?.ok) return refresh()
  const why = answer ? (await answer.json().catch(() => ({}))).detail ?? answer.status : 'no connection'
  say(`The message was sent, its files were not: ${why}`, { bad: true, label: 'Try again', act: () => upload(files, ticket, message) })
}
addEventListener('beforeunload', (event) => {
  if (all('.files input').some(({ files }) => files.length)) event.preventDefault()
})

// --- who is here ------------------------------------------------------------------------------------------------------

// Others see who has a ticket open and who writes; what was before somebody's eyes is read.
let typedAt = 0
let told = ''
async function tell() {
  const token = document.querySelector('.desk [name=form_token], .me [name=form_token]')
  if (!desk() || !token || document.hidden) return
  const typing = Date.now() - typedAt < 8000
  const read = document.getElementById('timeline')?.dataset.newest ?? ''
  told = `${shown(document)} ${read} ${typing}`
  const body = new URLSearchParams({ form_token: token.value, action: 'seen', typing: typing ? 'yes' : '', read })
  await fetch(location.pathname, { method: 'POST', body, redirect: 'manual' }).catch(() => undefined)
}
// What changed is told at once, the rest every ten seconds.
const tellIfNew = () => {
  const read = document.getElementById('timeline')?.dataset.newest ?? ''
  if (desk() && told !== `${shown(document)} ${read} ${Date.now() - typedAt < 8000}`) tell()
}
setInterval(tell, 10_000)
addEventListener('visibilitychange', tellIfNew)

// --- sending ----------------------------------------------------------------------------------------------------------

const UNDO = 5000
// An answer that goes out when its five seconds are over, or the page goes away.
let held

const bodyOf = (form, button) => {
  const body = new URLSearchParams(new FormData(form))
  if (button?.name) body.set(button.name, button.value)
  return body
}

addEventListener('submit', (event) => {
  const form = event.target
  if (event.defaultPrevented || !form.closest('.desk, .inbox')) return
  if (form.method === 'get') {
    event.preventDefault()
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value))
    return visit(`${location.pathname}?${query}`)
  }
  if (form.method !== 'post') return
  event.preventDefault()
  const button = event.submitter
  if (button?.dataset.insert) return insert(form, button)
  flush()
  const job = { form, button, address: here(), ticket: shown(document), body: bodyOf(form, button), text: form.querySelector('textarea[data-draft]') }
  if (job.text) job.name = nameOf(job.text)
  job.files = job.text ? [...filesOf(form).files] : []
  if (job.files.length) job.body.set('files', 'yes')
  if (button && 'hold' in button.dataset && job.text.value.trim()) hold(job)
  else send(job)
})

function hold(job) {
  held = job
  lock(job, true)
  // The server is to have it before the page may go away, and drops it when the answer arrives: this browser keeps no second one.
  clearTimeout(timers[job.name])
  save({ name: job.name, address: location.pathname, kind: job.text.dataset.draft, text: job.text.value })
  job.timer = setTimeout(flush, UNDO)
  say('Sending…', { label: 'Undo', act: () => undo(job), stays: true })
}
function undo(job) {
  if (held !== job) return
  clearTimeout(job.timer)
  held = undefined
  lock(job, false)
  hush()
  job.text.focus()
}
function flush(leaving = false) {
  if (!held) return
  const job = held
  held = undefined
  clearTimeout(job.timer)
  send(job, leaving)
}
addEventListener('pagehide', () => flush(true))

function lock(job, is) {
  locked[is ? 'add' : 'delete'](job.form)
  if (job.text) job.text.readOnly = is
  for (const button of job.form.querySelectorAll('button')) button.disabled = is
}

// What was refused keeps the text, and says what to do.
async function send(job, leaving = false) {
  lock(job, true)
  if (job.text && !leaving) say('Sending…', { stays: true })
  // Else what was sent would be kept once more.
  clearTimeout(timers[job.name])
  if (!leaving) await saving
  let answer
  try {
    answer = await fetch(job.address, { method: 'POST', body: job.body, keepalive: leaving })
  } catch {
    lock(job, false)
    return say('Not sent: no connection. What you wrote is kept. Send it again when you are online.', { bad: true, label: 'Send again', act: () => send(job) })
  }
  const fresh = parse(await answer.text())
  if (new URL(answer.url).pathname === '/dashboard/login') {
    lock(job, false)
    hush()
    return logIn(fresh, job)
  }
  lock(job, false)
  if (answer.status === 403 && !fresh.querySelector('.desk') && !job.again) {
    // The page is of a log-in before this one.
    const token = await freshToken()
    if (token) {
      job.again = true
      job.body.set('form_token', token)
      return send(job)
    }
  }
  if (answer.status === 409) for (const held of job.form.querySelectorAll('[data-held]')) held.remove()
  if (answer.ok && job.name) {
    localStorage.removeItem(job.name)
    if (job.text.isConnected && shown(document) === job.ticket) {
      job.text.value = ''
      filesOf(job.form).value = ''
      list(job.form)
    }
    const message = new URL(answer.url).searchParams.get('message')
    if (job.files.length && message) upload(job.files, job.ticket, message)
  }
  const done = fresh.querySelector('.notice')
  if (shown(document) !== job.ticket) {
    if (answer.ok) return say(done?.textContent ?? 'Saved.')
    return say('Not sent. What you wrote is kept with its ticket.', { bad: true, label: 'Open it', act: () => visit(job.address) })
  }
  if (!fresh.querySelector('.desk, .inbox')) {
    return say(`${fresh.querySelector('h1')?.textContent ?? 'It did not work'}: ${fresh.querySelector('h1 + p')?.textContent ?? answer.status}`, { bad: true, stays: true })
  }
  hush()
  const back = fresh.querySelector('.undo')
  if (back) {
    back.remove()
    const undo = () => send({ form: back, address: job.address, ticket: job.ticket, body: bodyOf(back, back.querySelector('button')), files: [] })
    say(done.firstChild.textContent, back.querySelector('button') ? { label: 'Undo', act: undo } : {})
  } else if (done) {
    say(done.textContent)
    done.remove()
  }
  turn += 1
  show(fresh, answer.ok ? tidy(answer.url) : undefined)
}
// An address without what was just done.
function tidy(address) {
  const url = new URL(address)
  for (const name of ['done', 'message']) url.searchParams.delete(name)
  return url.pathname + url.search
}
async function freshToken() {
  const answer = await fetch(here(), { headers: { Accept: 'text/html' } }).catch(() => undefined)
  if (!answer?.ok || answer.redirected) return
  const token = parse(await answer.text()).querySelector('[name=form_token]')?.value
  if (token) renew(token)
  return token
}

// A session that ended is begun anew where they are; then what they did is done.
function logIn(fresh, job) {
  const dialog = document.createElement('dialog')
  dialog.setAttribute('aria-label', 'Log in again')
  const form = document.adoptNode(fresh.querySelector('form'))
  const hint = document.createElement('p')
  hint.textContent = 'Your session has ended. What you wrote is kept.'
  dialog.append(hint, form)
  document.body.append(dialog)
  dialog.addEventListener('close', () => dialog.remove())
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    const answer = await fetch('/dashboard/login', { method: 'POST', body: new URLSearchParams(new FormData(form)) }).catch(() => undefined)
    if (!answer) return (hint.textContent = 'No connection.')
    const page = parse(await answer.text())
    if (new URL(answer.url).pathname === '/dashboard/login') {
      hint.textContent = page.querySelector('.alert, .fault')?.textContent ?? 'That did not work.'
      return
    }
    const token = await freshToken()
    dialog.close()
    listen()
    if (!token) return
    job.body.set('form_token', token)
    send(job)
  })
  dialog.showModal()
}

// The server fills a saved reply in; only the text of the field is taken from its page, so that nothing else moves.
async function insert(form, button) {
  const answer = await fetch(here(), { method: 'POST', body: bodyOf(form, button) }).catch(() => undefined)
  if (!answer) return say('No connection.', { bad: true })
  const fresh = parse(await answer.text())
  if (!answer.ok || answer.redirected) return fresh.querySelector('.desk') ? show(fresh) : location.assign(here())
  const text = field(button.dataset.insert)
  text.value = fresh.getElementById(text.id).value
  text.dispatchEvent(new Event('input', { bubbles: true }))
  text.focus()
}

// --- what is said beside the page -------------------------------------------------------------------------------------

const toast = document.createElement('div')
toast.id = 'toast'
toast.setAttribute('role', 'status')
document.body.append(toast)
let toastTimer
function say(text, { label, act, bad, stays } = {}) {
  clearTimeout(toastTimer)
  toast.className = bad ? 'bad' : ''
  toast.replaceChildren(Object.assign(document.createElement('span'), { textContent: text }))
  if (label) {
    const button = Object.assign(document.createElement('button'), { type: 'button', className: 'quiet', textContent: label })
    button.addEventListener('click', () => {
      hush()
      act()
    })
    toast.append(button)
  }
  if (!stays && !act) toastTimer = setTimeout(hush, 6000)
}
function hush() {
  clearTimeout(toastTimer)
  toast.replaceChildren()
}

// --- news -------------------------------------------------------------------------------------------------------------

let source
function listen() {
  source?.close()
  source = undefined
  const events = document.querySelector('[data-events]')?.dataset.events
  // A browser has few connections to a server: pages that nobody looks at hold none.
  if (!events || document.hidden) return
  source = new EventSource(events)
  source.addEventListener('change', refresh)
  // What changed after the page was made and before somebody listened, also while the connection was away.
  source.addEventListener('open', refresh)
}
addEventListener('visibilitychange', listen)
listen()

// --- times ------------------------------------------------------------------------------------------------------------

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto', style: 'short' })
function localise(time) {
  const at = new Date(time.dateTime)
  const minutes = Math.round((at - Date.now()) / 60000)
  const days = Math.round(minutes / 1440)
  time.title = at.toLocaleString()
  time.textContent =
    minutes > 1 ? at.toLocaleString(undefined, { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' })
    : minutes > -60 ? relative.format(Math.min(minutes, 0), 'minute')
    : minutes > -1440 ? relative.format(Math.round(minutes / 60), 'hour')
    : days > -7 ? relative.format(days, 'day')
    : at.toLocaleDateString(undefined, { day: 'numeric', month: 'short', ...(days < -300 && { year: 'numeric' }) })
}
setInterval(() => all('time[datetime]').forEach(localise), 60_000)

// --- a selection ------------------------------------------------------------------------------------------------------

// With the shift key all between two.
let marked
addEventListener('click', (event) => {
  const box = event.target.closest('.tickets li > input')
  if (!box) return
  const boxes = all('.tickets li > input')
  const [from, to] = [boxes.indexOf(marked), boxes.indexOf(box)].sort((one, other) => one - other)
  if (event.shiftKey && from >= 0) for (const one of boxes.slice(from, to + 1)) one.checked = box.checked
  marked = box
  count()
})
function count() {
  const text = document.querySelector('[data-count]')
  if (text) text.textContent = `${all('.tickets :checked').length} selected:`
}

// --- keys -------------------------------------------------------------------------------------------------------------

const press = (selector) => document.querySelector(selector)?.click()
const keys = {
  j: () => move(1),
  k: () => move(-1),
  r: () => write('reply'),
  n: () => write('note'),
  a: () => press('#take button'),
  h: () => field('snooze')?.focus(),
  x: () => document.activeElement.closest('.tickets li')?.querySelector('input')?.click(),
  e: () => press('#resolve button'),
  u: () => press('[data-back]'),
  c: () => press('#new-ticket'),
  '/': () => (field('q') ?? press('[data-back]'))?.focus?.(),
  '?': () => document.getElementById('keys')?.showModal(),
}
// Beside a ticket its neighbour opens; in the inbox the focus goes on.
function move(by) {
  if (desk()) press(`[data-step="${by}"]`)
  else step(by)
}
function write(kind) {
  const text = field(kind)
  if (!text) return
  text.closest('details').open = true
  text.focus()
}
addEventListener('keydown', (event) => {
  const text = event.target.closest?.('textarea[data-draft]')
  if (text && event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault()
    const button = event.shiftKey ? text.form.querySelector('[value=reply_resolve]') : text.form.querySelector('button:not([data-insert])')
    return button?.click()
  }
  if (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault()
    return palette()
  }
  if (event.key === 'Escape' && text) return text.blur()
  const key = isCommand(event) && keys[event.key]
  if (!key) return
  event.preventDefault()
  key()
})
addEventListener('change', ({ target }) => {
  if (target.id === 'single-keys') localStorage.setItem('vicket-keys', target.checked ? 'on' : 'off')
})

// Everything that the page and its menu offer, by its name; what is none of them is searched for.
function palette() {
  if (document.getElementById('palette')) return
  const dialog = Object.assign(document.createElement('dialog'), { id: 'palette' })
  dialog.setAttribute('aria-label', 'Commands')
  const input = Object.assign(document.createElement('input'), { type: 'search', placeholder: 'Go to, do, or search for…' })
  input.setAttribute('aria-label', 'Command')
  input.setAttribute('role', 'combobox')
  input.setAttribute('aria-expanded', 'true')
  input.setAttribute('aria-controls', 'commands')
  const list = Object.assign(document.createElement('ul'), { id: 'commands' })
  list.setAttribute('role', 'listbox')
  list.setAttribute('aria-label', 'Commands')
  const inbox = document.querySelector('#menu a[href$="/inbox"]')?.href
  const offers = [
    ...all('[data-command]').map((button) => ({ name: button.dataset.command, act: () => button.click() })),
    ...all('select[data-submit]', main()).flatMap((select) =>
      [...select.options].map((option) => ({
        name: `${select.labels[0]?.textContent ?? select.ariaLabel}: ${option.textContent}`,
        act: () => {
          select.value = option.value
          select.form.requestSubmit()
        },
      })),
    ),
    ...all('#menu nav a').map((link) => ({ name: `Go to ${link.firstChild.textContent.trim()}`, act: () => link.click() })),
    ...(field('reply') ? [{ name: 'Reply', act: () => write('reply') }] : []),
    ...(field('note') ? [{ name: 'Internal note', act: () => write('note') }] : []),
    { name: 'Keys', act: keys['?'] },
  ]
  let found = []
  let at = 0
  const choose = () => {
    const offer = found[at]
    dialog.close()
    offer?.act()
  }
  const draw = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean)
    found = offers.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word))).slice(0, 12)
    if (words.length && inbox) {
      const query = new URLSearchParams({ q: input.value.trim(), status: 'any' })
      found.push({ name: `Search tickets for “${input.value.trim()}”`, act: () => visit(`${inbox}?${query}`) })
    }
    at = Math.min(at, Math.max(found.length - 1, 0))
    list.replaceChildren(
      ...found.map(({ name }, number) => {
        const row = Object.assign(document.createElement('li'), { textContent: name, id: `command-${number}` })
        row.setAttribute('role', 'option')
        row.setAttribute('aria-selected', String(number === at))
        row.addEventListener('click', () => {
          at = number
          choose()
        })
        return row
      }),
    )
    input.setAttribute('aria-activedescendant', found.length ? `command-${at}` : '')
  }
  input.addEventListener('input', () => {
    at = 0
    draw()
  })
  input.addEventListener('keydown', (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (by) {
      event.preventDefault()
      at = (at + by + found.length) % found.length
      draw()
    }
    if (event.key === 'Enter') {
      event.preventDefault()
      choose()
    }
  })
  dialog.addEventListener('close', () => dialog.remove())
  dialog.append(input, list)
  document.body.append(dialog)
  draw()
  dialog.showModal()
}

ready()
