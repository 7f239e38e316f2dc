import GRDB
import KeyManager

/// A project's listing as SQL.
struct Listing {
  let sql: String
  let arguments: StatementArguments
  let total: (sql: String, arguments: StatementArguments)
  private let project: String

  /// - Parameter now: keys that have expired by then are left out.
  init(_ query: KeyQuery, project: String, now: Timestamp) {
    self.project = project
    var filters = Conditions()
    filters.add("type", query.type?.rawValue)
    filters.add("algorithm", query.algorithm)
    filters.add("bit_length", query.bitLength)
    filters.add("mode", query.mode)
    let owner = "project = (SELECT id FROM projects WHERE name = ?)"
    var all = filters
    all.add("name", query.name)

    // The unary plus keeps SQLite from walking the index on the expiration for nearly every key.
    sql = """
      SELECT \(StoredSecret.columns) FROM secrets
      WHERE \(owner)\(all.sql) AND (+expiration IS NULL OR +expiration > ?)
      ORDER BY \(Self.order(query.order)) LIMIT ? OFFSET ?
      """
    arguments = [project] + all.arguments + [now.microseconds, query.limit, query.offset]

    // The counts by group make the total cheap, unless a name, which few keys share, is asked for.
    let counted =
      all.sql == filters.sql
      ? "SELECT ifnull(sum(count), 0) FROM secret_counts WHERE \(owner)\(filters.sql)"
      : "SELECT count(*) FROM secrets WHERE \(owner)\(all.sql)"
    total = (
      """
      SELECT (\(counted))
        - (SELECT count(*) FROM secrets WHERE \(owner)\(all.sql) AND expiration <= ?)
      """,
      [project] + all.arguments + [project] + all.arguments + [now.microseconds]
    )
  }

  func fetch(_ db: Database) throws -> [StoredSecret] {
    try Row.fetchAll(db.cachedStatement(sql: sql), arguments: arguments)
      .map { try StoredSecret(row: $0, project: project) }
  }

  func fetchTotal(_ db: Database) throws -> Int {
    try Int.fetchOne(db.cachedStatement(sql: total.sql), arguments: total.arguments) ?? 0
  }

  /// Ties are broken by the order of creation, in the direction of the last field: what the indexes
  /// have.
  private static func order(_ order: [KeyQuery.Order]) -> String {
    var columns: [String] = []
    var terms: [String] = []
    func add(_ column: String?, _ ascending: Bool) {
      // A second mention changes nothing, and SQLite would sort for it.
      guard let column, !columns.contains(column) else { return }
      columns.append(column)
      terms.append(column + (ascending ? " ASC" : " DESC"))
    }
    for term in order { add(column(term.field), term.ascending) }
    let last = order.last?.ascending ?? true
    add("created", last)
    add("number", last)
    return terms.joined(separator: ", ")
  }

  /// Nil for the status, which is the same for every key.
  private static func column(_ field: KeyQuery.Field) -> String? {
    switch field {
    case .created: "created"
    case .updated: "updated"
    case .name: "name"
    case .algorithm: "algorithm"
    case .bitLength: "bit_length"
    case .mode: "mode"
    case .expiration: "expiration"
    case .status: nil
    }
  }

  private struct Conditions {
    private(set) var sql = ""
    private(set) var arguments: StatementArguments = []

    /// An empty text filters nothing, as in Barbican.
    mutating func add(_ column: String, _ text: String?) {
      guard let text, !text.isEmpty else { return }
      sql += " AND \(column) = ?"
      arguments += [text]
    }

    mutating func add(_ column: String, _ number: Int?) {
      guard let number else { return }
      sql += " AND \(column) = ?"
      arguments += [number]
    }
  }
}
