/** Puts another method in a class's place, for the planted defects. Returns what puts the former one back. */
export function replace<Type, Name extends keyof Type>(
  prototype: Type,
  name: Name,
  make: (before: Type[Name]) => Type[Name],
): () => void {
  const before = prototype[name];
  prototype[name] = make(before);
  return () => {
    prototype[name] = before;
  };
}
