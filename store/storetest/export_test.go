package storetest

// CaseNames returns the names of all cases, as "subject/case".
func CaseNames() []string {
	var names []string
	for _, subject := range subjects {
		for _, c := range subject.cases {
			names = append(names, subject.name+"/"+c.name)
		}
	}
	return names
}
