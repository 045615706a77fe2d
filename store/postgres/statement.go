package postgres

// givenRows ends a query of all given rows. The LIMIT leaves none out. It has the
// server expect few rows, so that it plans to find each by an index, also while the
// tables are small: it keeps the plan when they grow.
const givenRows = ` LIMIT cardinality($1::uuid[])`

// statements are those whose text does not depend on a query, with the schema in
// them.
type statements struct {
	createPlain, createRecorded, readContacts, lockContacts, insertContacts, updateContacts, deleteContacts, findContact string
	insertLookups, deleteLookups, holders, places, validKeys, sharedValues                                               string
	readOnce, insertOnce, deleteOnce, pruneOnce                                                                          string
	readStates, lockStates, writeStates, readEntries, appendEntries, replaceEntries, pruneEntries                        string
	prunable, findEntries                                                                                                string
	insertAccount, insertState, insertTeam, insertKey, insertSetting                                                     string
	setVersion, settingsVersions, lastTeams                                                                              string
	listAccounts, listTeams, listKeys, listSettings, findKeys, findAccounts, findSettings                                string
	revokeKey, disableAccount, enableAccount                                                                             string
}

func newStatements(sql func(string) string) statements {
	return statements{
		createPlain: sql(createPlainSQL), createRecorded: sql(createRecordedSQL), readContacts: sql(readContactsSQL), lockContacts: sql(lockContactsSQL),
		insertContacts: sql(insertContactsSQL), updateContacts: sql(updateContactsSQL), deleteContacts: sql(deleteContactsSQL),
		findContact:   sql(findContactSQL),
		insertLookups: sql(insertLookupsSQL), deleteLookups: sql(deleteLookupsSQL), holders: sql(holdersSQL), places: sql(placesSQL), validKeys: sql(validKeysSQL),
		sharedValues: sql(sharedValuesSQL),
		readOnce:     sql(readOnceSQL), insertOnce: sql(insertOnceSQL), deleteOnce: sql(deleteOnceSQL), pruneOnce: sql(pruneOnceSQL),
		readStates: sql(readStatesSQL), lockStates: sql(lockStatesSQL), writeStates: sql(writeStatesSQL),
		readEntries: sql(readEntriesSQL), appendEntries: sql(appendEntriesSQL), replaceEntries: sql(replaceEntriesSQL),
		pruneEntries: sql(pruneEntriesSQL), prunable: sql(prunableSQL), findEntries: sql(findEntriesSQL),
		insertAccount: sql(insertAccountSQL), insertState: sql(insertStateSQL), insertTeam: sql(insertTeamSQL),
		insertKey: sql(insertKeySQL), insertSetting: sql(insertSettingSQL),
		setVersion: sql(setVersionSQL), settingsVersions: sql(settingsVersionsSQL), lastTeams: sql(lastTeamsSQL),
		listAccounts: sql(listAccountsSQL), listTeams: sql(listTeamsSQL), listKeys: sql(listKeysSQL), listSettings: sql(listSettingsSQL),
		findKeys: sql(findKeysSQL), findAccounts: sql(findAccountsSQL), findSettings: sql(findSettingsSQL),
		revokeKey: sql(revokeKeySQL), disableAccount: sql(disableAccountSQL), enableAccount: sql(enableAccountSQL),
	}
}
