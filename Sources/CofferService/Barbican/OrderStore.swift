import BarbicanAPI
import FoundationEssentials
import GRDB
import KeyManager

/// An order: Barbican's way to have a key made.
struct Order: Sendable, Equatable {
  typealias OrderID = ID<Order>

  let id: OrderID
  let project: String
  let creator: String
  let created: Timestamp
  let meta: OrderMeta
  let outcome: Outcome

  /// An order is carried out before it is answered, so none is ever pending.
  enum Outcome: Sendable, Equatable {
    case key(KeyID)
    case failure(status: Int, reason: String)
  }
}

/// The orders, which last until they are deleted.
struct OrderStore: Sendable {
  private let database: DatabaseQueue

  /// Opens the SQLite file at `path`; makes it when it is not there.
  init(path: String) throws {
    var configuration = Configuration()
    configuration.label = "orders"
    configuration.prepareDatabase { database in
      try database.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    }
    database = try DatabaseQueue(path: path, configuration: configuration)
    var migrator = DatabaseMigrator()
    migrator.registerMigration("orders") { database in
      try database.execute(
        sql: """
          CREATE TABLE orders (
            id TEXT PRIMARY KEY,
            project TEXT NOT NULL,
            creator TEXT NOT NULL,
            created INTEGER NOT NULL,
            meta TEXT NOT NULL,
            key_id TEXT,
            error_status INTEGER,
            error_reason TEXT
          ) STRICT;
          CREATE INDEX orders_by_project ON orders (project, created);
          """)
    }
    try migrator.migrate(database)
  }

  func insert(_ order: Order) async throws {
    let meta = String(decoding: try JSONText.encode(order.meta), as: UTF8.self)
    var keyID: String?
    var status: Int?
    var reason: String?
    switch order.outcome {
    case .key(let id): keyID = id.description
    case .failure(let code, let text): (status, reason) = (code, text)
    }
    let arguments: StatementArguments = [
      order.id.description, order.project, order.creator, order.created.microseconds, meta, keyID,
      status, reason,
    ]
    try await database.write { database in
      try database.execute(
        sql: "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)", arguments: arguments)
    }
  }

  /// Nil also for another project's order.
  func order(_ id: Order.OrderID, project: String) async throws -> Order? {
    try await database.read { database in
      try Row.fetchOne(
        database, sql: "SELECT * FROM orders WHERE id = ? AND project = ?",
        arguments: [id.description, project]
      ).map(Self.order)
    }
  }

  /// Returns whether there was such an order.
  func delete(_ id: Order.OrderID, project: String) async throws -> Bool {
    try await database.write { database in
      try database.execute(
        sql: "DELETE FROM orders WHERE id = ? AND project = ?",
        arguments: [id.description, project])
      return database.changesCount > 0
    }
  }

  /// A page of the project's orders, oldest first, and how many there are in all.
  func orders(project: String, _ paging: Paging) async throws -> (page: [Order], total: Int) {
    try await database.read { database in
      let rows = try Row.fetchAll(
        database,
        sql: "SELECT * FROM orders WHERE project = ? ORDER BY created, id LIMIT ? OFFSET ?",
        arguments: [project, paging.limit, paging.offset])
      let total = try Int.fetchOne(
        database, sql: "SELECT count(*) FROM orders WHERE project = ?", arguments: [project])
      return (try rows.map(Self.order), total ?? 0)
    }
  }

  private static func order(_ row: Row) throws -> Order {
    guard let id = Order.OrderID(row["id"] as String) else { throw DamagedOrder() }
    let outcome: Order.Outcome
    if let text = row["key_id"] as String? {
      guard let key = KeyID(text) else { throw DamagedOrder() }
      outcome = .key(key)
    } else {
      outcome = .failure(status: row["error_status"] ?? 500, reason: row["error_reason"] ?? "")
    }
    return Order(
      id: id, project: row["project"], creator: row["creator"],
      created: Timestamp(microseconds: row["created"]),
      meta: try JSONText.decode(OrderMeta.self, from: Data((row["meta"] as String).utf8)),
      outcome: outcome)
  }
}

private struct DamagedOrder: Error, CustomStringConvertible {
  var description: String { "the database of orders holds an ID that is none" }
}
