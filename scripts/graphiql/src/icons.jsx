export function ExamplesIcon(props) {
  return (
    <svg height="1em" viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" {...props}>
      <path strokeLinecap="round" strokeLinejoin="round" d="M9 18h6M10 21h4M12 3a6 6 0 0 0-3.6 10.8c.7.5 1.1 1.3 1.1 2.2h5c0-.9.4-1.7 1.1-2.2A6 6 0 0 0 12 3Z" />
    </svg>
  );
}

// The drawing of favicon.svg: many sources, one point where they meet.
export function Mark() {
  return (
    <svg height="1em" viewBox="0 0 32 32" fill="none" stroke="currentColor" strokeWidth="2.5" aria-hidden="true">
      <path d="M6 7h5c5 0 4 9 9 9M6 16h14M6 25h5c5 0 4-9 9-9" />
      <g fill="currentColor" stroke="none">
        <circle cx="6" cy="7" r="3" />
        <circle cx="6" cy="16" r="3" />
        <circle cx="6" cy="25" r="3" />
        <circle cx="24" cy="16" r="5" />
      </g>
    </svg>
  );
}
