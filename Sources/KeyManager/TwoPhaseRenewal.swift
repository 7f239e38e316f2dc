/// Something that a credential opens, and that can be opened by two at once: a stored project key, a
/// keyslot.
///
/// Both calls are idempotent, and each is atomic: after a crash its effect is there or it is not.
public protocol RenewalTarget<Credential>: Sendable {
  associatedtype Credential: Identifiable & Sendable where Credential.ID: Sendable

  /// Makes `new` open this target as well; `old` opens it already.
  func authorize(_ new: Credential, using old: Credential) async throws

  /// Makes the credential `retired` open this target no longer; throws, and changes nothing, unless
  /// `kept` opens it.
  func deauthorize(_ retired: Credential.ID, keeping kept: Credential) async throws
}

/// Where the one credential in force is kept. What it holds decides how an interrupted renewal ends.
public protocol RenewalStore<Credential>: Sendable {
  associatedtype Credential: Identifiable & Sendable

  /// The credential in force, which must have become durable before this returns.
  func load() async throws -> Credential

  /// Replaces it, durably and atomically.
  func save(_ credential: Credential) async throws
}

/// Replaces a credential so that at every instant, also after a crash, the one in the store opens every
/// target.
///
///     old only → authorize(new) on every target → both → store.save(new) → deauthorize(old) → new only
///
/// A failure before `save` rolls back to the old one, a failure after it rolls forward to the new one,
/// and in between both work. After Geofront's two-phase renewal.
public struct TwoPhaseRenewal<Credential: Identifiable & Sendable>: Sendable
where Credential.ID: Sendable {
  /// What has been done, and is durable.
  public enum Step: Sendable, Equatable {
    /// The new credential opens the target of this index.
    case authorized(Int)
    /// The store holds the new credential.
    case saved
    /// The retired credential opens the target of this index no longer.
    case deauthorized(Int)
  }

  private let targets: [any RenewalTarget<Credential>]
  private let store: any RenewalStore<Credential>
  private let reached: @Sendable (Step) -> Void

  /// - Parameter reached: called after each step.
  public init(
    targets: [any RenewalTarget<Credential>], store: any RenewalStore<Credential>,
    reached: @escaping @Sendable (Step) -> Void = { _ in }
  ) {
    self.targets = targets
    self.store = store
    self.reached = reached
  }

  /// Replaces `old`, which the store holds, by `new`.
  public func run(from old: Credential, to new: Credential) async throws(RenewalError) {
    do {
      for (index, target) in targets.enumerated() {
        try await target.authorize(new, using: old)
        reached(.authorized(index))
      }
    } catch {
      throw await rollBack(to: old, retiring: new, because: error)
    }
    do {
      try await store.save(new)
    } catch {
      // A failed save may have replaced the old credential all the same, without being durable. Only
      // when the store still holds the old one is it safe to retire the new one.
      guard let held = try? await store.load(), held.id == old.id else {
        throw .unfinished(error)
      }
      throw await rollBack(to: old, retiring: new, because: error)
    }
    reached(.saved)
    do {
      try await retire(old.id, keeping: new)
    } catch {
      throw .unfinished(error)
    }
  }

  /// Ends a renewal that was interrupted, in whichever direction the store says: makes every credential
  /// of `candidates` but the one in the store open no target. Returns the one in force.
  @discardableResult
  public func settle(_ candidates: [Credential.ID]) async throws(RenewalError) -> Credential {
    do {
      let kept = try await store.load()
      for candidate in candidates where candidate != kept.id {
        try await retire(candidate, keeping: kept)
      }
      return kept
    } catch {
      throw .unfinished(error)
    }
  }

  private func retire(_ retired: Credential.ID, keeping kept: Credential) async throws {
    for (index, target) in targets.enumerated() {
      try await target.deauthorize(retired, keeping: kept)
      reached(.deauthorized(index))
    }
  }

  private func rollBack(
    to old: Credential, retiring new: Credential, because cause: any Error
  ) async -> RenewalError {
    do {
      try await retire(new.id, keeping: old)
      return .rolledBack(cause)
    } catch {
      return .unfinished(cause)
    }
  }
}

/// Why a renewal did not come to its end.
public enum RenewalError: Error, CustomStringConvertible {
  /// Nothing has changed: the old credential is in force, the new one opens nothing.
  case rolledBack(any Error)
  /// The credential in the store is in force and opens every target; the other one may still open some,
  /// until `settle` succeeds.
  case unfinished(any Error)

  public var description: String {
    switch self {
    case .rolledBack(let cause):
      "nothing was renewed: \(cause)"
    case .unfinished(let cause):
      "the renewal is not finished, old and new both work until it is: \(cause)"
    }
  }
}
