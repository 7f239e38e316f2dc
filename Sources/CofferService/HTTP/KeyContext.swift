import KeyManager

/// `KeyManager.RequestContext`, under a name that Hummingbird does not have too.
typealias KeyContext = RequestContext
