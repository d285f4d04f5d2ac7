# Prints what is newer than the last build; nothing when the build is current. Run in the root of the checkout.
# The one list of what a build is made from: `corral` and `ready.mjs` both ask here. A directory's own time tells
# of files that were removed or renamed.
stamp=node_modules/.corral-ready
if [ ! -e "$stamp" ]; then
  echo "$stamp"
  exit
fi
exec find package-lock.json tsconfig.base.json scripts/stale.sh scripts/ready.mjs scripts/cached-start.cjs packages/*/*.json packages/*/src \
  -newer "$stamp" ! -name '*.test.ts'
