# Is META.json what PGXN asks for, and can domev be installed from the zip of "make dist", by hand and by PGXN's client?
# To be sourced by run.sh.
# shellcheck shell=bash disable=SC2154

dist=$work/dist # a repository, and what is made of it

make_dist() {
	make_repository "$dist/repository"
	"${make[@]}" -C "$dist/repository" dist
	cp "$dist/repository/domev-$version.zip" "$dist/"
	python3 -m zipfile -l "$dist/domev-$version.zip" | awk '{ print $1 }' >"$dist/list"
}

# Under one folder, with META.json on top and what it names; nothing of what is for those who make releases, nothing that was built.
well_packed() {
	local file
	if grep -v -e "^domev-$version/" -e '^File$' "$dist/list"; then return 1; fi
	for file in META.json README.md LICENSE Makefile domev.control sql/domev.sql src/domev.c test/sql/emit.sql doc/installing.md; do
		grep -qx "domev-$version/$file" "$dist/list" || { say "it lacks $file" && return 1; }
	done
	! grep -E '/(\.ci|\.git.*|debian|Containerfile|release\.sh|.*\.whl|.*\.so|.*\.o)(/|$)|node_modules|__pycache__' "$dist/list"
}

# The rules of PGXN's specification 1.0.0 that a file of ours could break; PGXN::Meta::Validator has all.
valid_meta() {
	python3 - "$copy" "$version" <<-'END'
		import json, os, re, sys
		folder, version = sys.argv[1:]
		meta = json.load(open(os.path.join(folder, 'META.json')))
		semver = re.compile(r'^\d+\.\d+\.\d+(-[A-Za-z0-9-]+)?$')
		for key in ('name', 'version', 'abstract', 'maintainer', 'license', 'provides', 'meta-spec'):
		    assert meta.get(key), 'lacks ' + key
		assert meta['version'] == version and semver.match(version), 'its version is ' + meta['version']
		assert meta['meta-spec']['version'] == '1.0.0', 'of another specification'
		assert meta['license'] == 'postgresql', 'its licence is no name that PGXN knows'
		assert all(isinstance(tag, str) and len(tag) < 256 for tag in meta.get('tags', [])), 'a tag is wrong'
		unknown = set(meta) - {'name', 'version', 'abstract', 'maintainer', 'license', 'provides', 'meta-spec', 'description',
		                       'generated_by', 'tags', 'no_index', 'prereqs', 'release_status', 'resources'}
		assert not unknown, 'has %s, which should begin with x_' % unknown
		for name, extension in meta['provides'].items():
		    assert os.path.exists(os.path.join(folder, name + '.control')), 'there is no %s.control' % name
		    assert extension['version'] == version, name + ' has another version'
		    for key in ('file', 'docfile'):
		        assert os.path.exists(os.path.join(folder, extension[key])), 'there is no ' + extension[key]
		for phase in meta.get('prereqs', {}).values():
		    for needs in phase.values():
		        assert all(semver.match(str(needed)) for needed in needs.values()), 'a version that is needed is wrong'
	END
}

# All that make install puts into a PostgreSQL is there, and no more than at first after make uninstall.
files_of() { # FOLDER
	(cd "$1" && find usr -path '*domev*' ! -type d | sort)
}

unpack_and_install() {
	rm -rf "$dist/own" "$dist/unpacked"
	own_config=$(own_postgresql "$dist/own")
	python3 -m zipfile -e "$dist/domev-$version.zip" "$dist/unpacked"
	make -s -C "$dist/unpacked/domev-$version" "PG_CONFIG=$own_config" COPT=-Werror
	make -s -C "$dist/unpacked/domev-$version" "PG_CONFIG=$own_config" install
	files_of "$dist/own" >"$dist/installed"
	grep -q "/domev--$version.sql$" "$dist/installed"
	make -s -C "$dist/unpacked/domev-$version" "PG_CONFIG=$own_config" uninstall
	! files_of "$dist/own" | grep .
}

# The client of PyPI; what it installs is the same.
by_client() {
	local rc=0
	python3 -m venv "$dist/venv" || cannot 'there is no venv of Python' || return
	# its scripts name the Python that built them, so they must not come from a cache
	"$dist/venv/bin/pip" install -q --disable-pip-version-check --no-cache-dir pgxnclient setuptools || cannot 'pgxnclient cannot be had' || return
	own_config=$(own_postgresql "$dist/own")
	mkdir -p "$("$own_config" --libdir)" # which the client asks about, although nothing goes there
	"$dist/venv/bin/pgxn" install --pg_config "$own_config" --nosudo "$dist/domev-$version.zip"
	diff "$dist/installed" <(files_of "$dist/own")
	make_cluster "$home/pgxn"
	chown -R "$user:" "$dist/own"
	chmod 711 "$dist"
	as_user "$(dirname "$own_config")/pg_ctl" -D "$home/pgxn" -l "$home/pgxn.log" start
	as_user psql -h "$home" -U postgres -Xv ON_ERROR_STOP=1 -c 'CREATE EXTENSION domev' -c 'SELECT domev.heartbeat()' || rc=1
	as_user "$(dirname "$own_config")/pg_ctl" -D "$home/pgxn" -m fast stop
	return "$rc"
}

test_pgxn() {
	local own_config
	try 'META.json follows the specification, and what it names is there' meta.log valid_meta
	try 'make dist makes a zip' dist.log make_dist
	[ -n "$good" ] || return 0
	try 'in it is what belongs to it, and nothing else' packed.log well_packed
	try 'it builds, installs and uninstalls' unpacked.log unpack_and_install
	[ -n "$good" ] || return 0
	try 'pgxn install installs it, and CREATE EXTENSION works' client.log by_client
}
