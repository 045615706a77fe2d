package postgres

// statements are those whose text does not depend on a query, with the schema in
// them.
type statements struct {
	insertContacts, updateContacts, deleteContacts, lockContacts, findContact, homes                string
	insertLookups, deleteLookups                                                                    string
	deleteEnded, insertIdempotencies, findIdempotencies, deleteIdempotencies, prune                 string
	insertAccounts, insertTeams, insertKeys, lockAccounts, lastTeams                                string
	listAccounts, listTeams, listKeys, findTeam, findKeys, revokeKey, disableAccount, enableAccount string
}

func newStatements(sql func(string) string) statements {
	return statements{
		insertContacts: sql(insertContactsSQL), updateContacts: sql(updateContactsSQL), deleteContacts: sql(deleteContactsSQL),
		lockContacts: sql(lockContactsSQL), findContact: sql(findContactSQL), homes: sql(homesSQL),
		insertLookups: sql(insertLookupsSQL), deleteLookups: sql(deleteLookupsSQL),
		deleteEnded: sql(deleteEndedSQL), insertIdempotencies: sql(insertIdempotenciesSQL), findIdempotencies: sql(findIdempotenciesSQL),
		deleteIdempotencies: sql(deleteIdempotenciesSQL), prune: sql(pruneSQL),
		insertAccounts: sql(insertAccountsSQL), insertTeams: sql(insertTeamsSQL), insertKeys: sql(insertKeysSQL),
		lockAccounts: sql(lockAccountsSQL), lastTeams: sql(lastTeamsSQL),
		listAccounts: sql(listAccountsSQL), listTeams: sql(listTeamsSQL), listKeys: sql(listKeysSQL),
		findTeam: sql(findTeamSQL), findKeys: sql(findKeysSQL),
		revokeKey: sql(revokeKeySQL), disableAccount: sql(disableAccountSQL), enableAccount: sql(enableAccountSQL),
	}
}
