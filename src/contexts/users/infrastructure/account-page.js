// Runs in the browser: reads the token behind the #, shows it to nobody else, and sends it with what the form asks for.
const form = document.querySelector('form'),
  said = document.querySelector('output')
const token = new URLSearchParams(location.hash.slice(1)).get('token')
history.replaceState(null, '', location.pathname)
form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const body = { ...Object.fromEntries(new FormData(form)), ...(token ? { token } : {}) }
  const path = !token && form.dataset.without ? form.dataset.without : form.dataset.path
  const answer = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  said.textContent = answer.ok ? form.dataset.done : (await answer.json()).detail
})
if (!token) for (const field of document.querySelectorAll('[data-with-token]')) field.remove()
if (token) for (const field of document.querySelectorAll('[data-without-token]')) field.remove()
