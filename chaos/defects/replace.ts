/** Puts another method in a class's place, for the planted defects. */
export function replace<Type, Name extends keyof Type>(
  prototype: Type,
  name: Name,
  make: (before: Type[Name]) => Type[Name],
): void {
  prototype[name] = make(prototype[name]);
}
