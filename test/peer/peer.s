// Its presence lets peer.go declare functions without bodies.
