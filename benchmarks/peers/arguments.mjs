// What each peer is started with: `node PEER.mjs PORT INSTANCES [OPTION]`, with the instances as JSON.

const [port, instances, option] = process.argv.slice(2)

export default { host: '127.0.0.1', port: Number(port), instances: JSON.parse(instances), option }
