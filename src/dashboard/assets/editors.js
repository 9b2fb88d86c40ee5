// Editors: previews, rows that come and go, rows in order.

// The preview is rendered by the server, as it renders what is published.
const source_text = document.querySelector('[data-preview]')
if (source_text) {
  let turn = 0
  let timer
  source_text.addEventListener('input', () => {
    clearTimeout(timer)
    timer = setTimeout(async () => {
      const mine = ++turn
      const token = source_text.form.elements.form_token.value
      const body = new URLSearchParams({ form_token: token, body: source_text.value })
      const answer = await fetch(source_text.dataset.preview, { method: 'POST', body })
      const html = await answer.text()
      if (answer.ok && mine === turn) document.getElementById('preview').innerHTML = html
    }, 250)
  })
}

// What was typed is not lost by a link that was hit by mistake.
const guarded = document.querySelector('[data-guard]')
if (guarded) {
  let typed = guarded.dataset.guard === 'unsaved'
  guarded.addEventListener('input', () => (typed = true))
  guarded.addEventListener('submit', () => (typed = false))
  addEventListener('beforeunload', (event) => typed && event.preventDefault())
}

// A ticket form's rows come and go, and its answers are scored, as the server says: the page's parts come again.
const editor = document.querySelector('[data-editor]')
if (editor) {
  const part = (id, within = document) => within.getElementById(id)
  const trying = part('try').querySelector('button')
  let changed = !!editor.querySelector('.alert')
  let stale = false
  let turn = 0
  let timer

  const ask = async (action) => {
    const body = new URLSearchParams(new FormData(editor))
    body.set('action', action)
    const answer = await fetch(location.pathname, { method: 'POST', body })
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html')
    return part('parts', fresh) ? fresh : undefined
  }
  // What is to have the focus.
  const show = (fresh, ids) => {
    const wanted = fresh.querySelector('[autofocus]')
    wanted?.removeAttribute('autofocus')
    for (const id of ids) part(id).replaceWith(document.adoptNode(part(id, fresh)))
    if (ids.includes('answers')) stale = false
    return wanted
  }

  editor.addEventListener('submit', async (event) => {
    const button = event.submitter
    clearTimeout(timer)
    turn += 1
    if (!button || button.value === 'save' || button.dataset.plain) {
      changed = false
      return
    }
    event.preventDefault()
    // What is typed meanwhile would be lost.
    editor.inert = true
    const fresh = await ask(button.value).catch(() => undefined)
    editor.inert = false
    if (!fresh) {
      // The browser shows why, as it does without this.
      button.dataset.plain = 'yes'
      button.click()
    } else if (button === trying) {
      show(fresh, ['answers', 'result'])
      ;(part('answers').querySelector('[aria-invalid]') ?? button).focus()
    } else {
      changed = true
      show(fresh, ['parts', 'answers'])?.focus()
    }
  })

  editor.addEventListener('input', (event) => {
    const typed = !part('answers').contains(event.target)
    changed ||= typed
    stale ||= typed
    clearTimeout(timer)
    const mine = ++turn
    timer = setTimeout(async () => {
      const fresh = await ask(trying.value).catch(() => undefined)
      if (!fresh || mine !== turn) return
      const answering = part('answers').contains(document.activeElement)
      show(fresh, stale && !answering ? ['answers', 'result'] : ['result'])
    }, 400)
  })

  addEventListener('beforeunload', (event) => changed && event.preventDefault())
}

// Rows are put in order by dragging their handle or by their buttons; the server is told whose place one took.
for (const list of all('[data-order]')) {
  const rows = () => [...list.children]
  const told = document.getElementById('placed')
  const name = (row) => row.querySelector('.grow strong').textContent

  // The others go around it: a row that leaves the page for a moment loses the pointer and the focus.
  const place = (row, to) => {
    const now = rows()
    const from = now.indexOf(row)
    for (const other of now.slice(from + 1, to + 1)) row.before(other)
    for (const other of now.slice(to, from).reverse()) row.after(other)
  }
  // The row stands at its new place; `from` is where it was.
  const keep = async (row, from) => {
    const to = rows().indexOf(row)
    if (to === from) return
    const over = rows()[to > from ? to - 1 : to + 1]
    const form = row.querySelector('form')
    const body = new URLSearchParams({ form_token: form.elements.form_token.value, action: 'move', over: over.dataset.id })
    list.inert = true
    // `form.action` would be its buttons, which have that name.
    const answer = await fetch(form.getAttribute('action'), { method: 'POST', body, redirect: 'manual' }).catch(() => undefined)
    list.inert = false
    // The page as it is kept says more than a row that stands where it is not.
    if (answer?.type !== 'opaqueredirect') return location.reload()
    told.textContent = `${name(row)}: now ${to + 1} of ${rows().length}.`
  }

  list.addEventListener('submit', async (event) => {
    const button = event.submitter
    const row = button.closest('li')
    event.preventDefault()
    const from = rows().indexOf(row)
    const to = from + (button.value === 'up' ? -1 : 1)
    if (to < 0 || to >= rows().length) {
      told.textContent = `${name(row)} is already the ${to < 0 ? 'first' : 'last'}.`
      return
    }
    place(row, to)
    await keep(row, from)
    button.focus()
  })

  for (const handle of all('.handle', list)) {
    handle.hidden = false
    handle.addEventListener('pointerdown', (down) => {
      if (down.button !== 0) return
      down.preventDefault()
      const row = handle.closest('li')
      const from = rows().indexOf(row)
      const listening = new AbortController()
      const on = (target, kind, act) => target.addEventListener(kind, act, { signal: listening.signal })
      const drop = () => {
        listening.abort()
        row.classList.remove('lifted')
      }
      handle.setPointerCapture(down.pointerId)
      row.classList.add('lifted')
      on(handle, 'pointermove', ({ clientY }) => {
        const edge = 40
        if (clientY < edge) scrollBy(0, -12)
        if (clientY > innerHeight - edge) scrollBy(0, 12)
        const at = rows().findIndex((other) => clientY < other.getBoundingClientRect().bottom)
        const to = at < 0 ? rows().length - 1 : at
        const now = rows().indexOf(row)
        const { top, bottom } = rows()[to].getBoundingClientRect()
        const high = row.offsetHeight
        // Only where the row would then be under the pointer, lest rows of different heights swap forever.
        if (to > now) place(row, clientY > bottom - high ? to : to - 1)
        if (to < now) place(row, clientY < top + high ? to : to + 1)
      })
      on(handle, 'pointerup', () => {
        drop()
        keep(row, from)
      })
      const cancel = () => {
        drop()
        place(row, from)
      }
      on(handle, 'pointercancel', cancel)
      on(window, 'keydown', ({ key }) => key === 'Escape' && cancel())
    })
  }
}
