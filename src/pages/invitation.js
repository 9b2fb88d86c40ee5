// Accepts an invitation. Its token is in the fragment of the link, which no server, log or Referer ever gets.
const token = location.hash.slice(1)
const form = document.getElementById('join')
const message = document.getElementById('message')

function say(text, failed) {
  message.textContent = text
  message.className = failed ? 'error' : ''
}

if (!token) {
  form.hidden = true
  say('This link is not complete. Copy all of it, or ask for another invitation.', true)
}

// Another link pasted into this page is another invitation.
addEventListener('hashchange', () => location.reload())

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const button = form.querySelector('button')
  button.disabled = true
  say('Joining…', false)
  try {
    const answer = await fetch('/v1/auth/invitations/accept', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ token, name: form.elements.name.value, password: form.elements.password.value }),
    })
    const body = await answer.json()
    if (answer.ok) {
      history.replaceState(null, '', location.pathname)
      form.hidden = true
      say(`Welcome, ${body.name}. You are logged in as ${body.email}. `, false)
      const link = document.createElement('a')
      link.href = '/dashboard'
      link.textContent = 'Open the dashboard'
      message.append(link)
      return
    }
    const faults = (body.errors ?? []).map((fault) => `${fault.field} ${fault.message}`)
    say(faults.length > 0 ? faults.join('; ') : body.detail, true)
  } catch {
    say('The server cannot be reached. Try again shortly.', true)
  }
  button.disabled = false
})
