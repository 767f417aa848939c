# How do parts of the interop run get libraries of Java?  To be sourced by them.
# shellcheck shell=bash disable=SC2154

need_java() {
	command -v javac >/dev/null || need_packages default-jdk-headless
	command -v mvn >/dev/null || need_packages maven
}

# Copies what a pom.xml names to a folder; fails when Maven cannot get it.  One part at a time, as Maven's own store is that of all.
maven_libraries() { # FOLDER-OF-POM FOLDER [MAVEN-ARGUMENT...]
	local rc=0
	exec 7>>"$home/maven.lock"
	flock 7
	as_user mvn -B -q -Dstyle.color=never "-Dmaven.repo.local=$home/.m2/repository" -f "$1" "${@:3}" dependency:copy-dependencies \
		-DincludeScope=runtime "-DoutputDirectory=$2" || rc=$?
	exec 7>&-
	return "$rc"
}
