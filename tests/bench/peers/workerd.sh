#!/bin/sh
# workerd, which otherwise outlives a Node.js that is killed.
exec setpriv --pdeathsig KILL "$WORKERD" "$@"
