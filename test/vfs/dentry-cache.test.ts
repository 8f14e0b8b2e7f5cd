/** What is known of names, and when a directory is known completely. */
import test from "ava";
import fc from "fast-check";
import { rootIno, toIno, type Ino } from "../../src/base/ids.ts";
import type { Name } from "../../src/base/name.ts";
import { createDentryCache } from "../../src/vfs/dentry-cache.ts";
import { name } from "./mount.ts";

const file = toIno(7);

test("in a complete directory a name that is not there is absent", (t) => {
  const dentries = createDentryCache(10);
  t.is(dentries.get(rootIno, name("a")), undefined);
  const listing = dentries.beginListing(rootIno);
  dentries.set(rootIno, name("a"), file);
  t.is(dentries.get(rootIno, name("b")), undefined);
  listing.complete();
  t.is(dentries.get(rootIno, name("a")), file);
  t.is(dentries.get(rootIno, name("b")), null);
  dentries.set(rootIno, name("b"), file);
  dentries.set(rootIno, name("a"), null);
  t.is(dentries.get(rootIno, name("a")), null);
  t.is(dentries.size, 1);
});

test("one name that is doubtful makes the directory incomplete", (t) => {
  const dentries = createDentryCache(10);
  const listing = dentries.beginListing(rootIno);
  dentries.set(rootIno, name("a"), file);
  listing.complete();
  dentries.delete(rootIno, name("c"));
  t.is(dentries.get(rootIno, name("c")), undefined);
  t.is(dentries.get(rootIno, name("b")), undefined);
  t.is(dentries.get(rootIno, name("a")), file);
});

test("a name that was lost while listing leaves the directory incomplete", (t) => {
  const dentries = createDentryCache(2);
  const listing = dentries.beginListing(rootIno);
  for (const text of ["a", "b", "c"]) dentries.set(rootIno, name(text), file);
  listing.complete();
  t.is(dentries.size, 2);
  t.is(dentries.get(rootIno, name("a")), undefined);
  const again = dentries.beginListing(rootIno);
  dentries.delete(rootIno, name("b"));
  again.complete();
  t.false(dentries.isComplete(rootIno));
  const forgotten = dentries.beginListing(rootIno);
  dentries.clear();
  forgotten.complete();
  t.is(dentries.get(rootIno, name("z")), undefined);
});

test("the directory used least recently goes as a whole", (t) => {
  const dentries = createDentryCache(3);
  const [one, two, three] = [toIno(11), toIno(12), toIno(13)];
  for (const ino of [one, two]) dentries.beginListing(ino).complete();
  dentries.set(one, name("a"), file);
  dentries.set(one, name("b"), file);
  dentries.set(two, name("a"), file);
  dentries.get(one, name("a"));
  dentries.set(three, name("a"), file);
  t.is(dentries.get(two, name("a")), undefined);
  t.is(dentries.get(two, name("x")), undefined);
  t.is(dentries.get(one, name("x")), null);
  t.is(dentries.size, 3);
});

test("whatever happens, it answers what is true or nothing, and stays below its bound", (t) => {
  const inos = fc.constantFrom(toIno(11), toIno(12), toIno(13));
  const names = fc.constantFrom(...["a", "b", "c", "d"].map(name));
  const steps = fc.array(fc.tuple(fc.constantFrom("set", "remove", "doubt", "list"), inos, names), { maxLength: 60 });
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 6 }), (all, max) => {
      const dentries = createDentryCache(max);
      const truth = new Map<string, Ino>();
      for (const [what, parent, text] of all) {
        const key = `${String(parent)}/${text}`;
        if (what === "list") {
          const listing = dentries.beginListing(parent);
          for (const [path, ino] of truth) {
            const [at, child] = path.split("/") as [string, Name];
            if (at === String(parent)) dentries.set(parent, child, ino);
          }
          listing.complete();
        } else if (what === "set") {
          truth.set(key, file);
          dentries.set(parent, text, file);
        } else if (what === "remove") {
          truth.delete(key);
          dentries.set(parent, text, null);
        } else dentries.delete(parent, text);
        const known = dentries.get(parent, text);
        t.true(known === undefined || known === (truth.get(key) ?? null));
        t.true(dentries.size <= max);
      }
    }),
  );
});
