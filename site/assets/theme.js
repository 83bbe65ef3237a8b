/** Before anything is shown: the theme that was chosen here, and that scripts run. */
const root = document.documentElement;
root.classList.add('scripted');
try {
  const chosen = localStorage.getItem('theme');
  if (chosen === 'dark' || chosen === 'light') root.dataset.theme = chosen;
} catch {
  // Without storage it is the system's.
}
