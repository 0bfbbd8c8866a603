// Kills processes that write to a TensorStore at random moments, and checks what they leave: kill FOLDER COUNT [SEED]
//
// Each writer says through a pipe what it is about to commit, and again when the commit has returned. After the kill the
// store must hold all that was acknowledged, every bit of it, and of the one commit that was not: everything or nothing.
// Beside them a manager with a small budget spills into the same folder, and sometimes the manifest is lost as well and made again.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "cotenant/files/store_spill.hpp"
#include "cotenant/share/manager.hpp"
#include "versions.hpp"

using namespace cotenant;
using namespace kill_test;

namespace {

// What one commit changes: version 0 removes.
using Change = State;

void carry_out(State& state, const Change& change) {
  for (const auto& [name, version] : change)
    if (version == 0) state.erase(name);
    else state[name] = version;
}

void say(int pipe, const std::string& line) {
  // Shorter than PIPE_BUF, so that it arrives whole or not at all.
  if (::write(pipe, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::_exit(2);
}

// A writer's life. Never returns.
[[noreturn]] void write_until_killed(const std::filesystem::path& folder, int pipe, const std::string& prefix, State mine, std::uint64_t seed) {
  try {
    StoreOptions options;
    options.durable = seed % 2 == 0;  // without it fewer system calls, so other moments
    TensorStore store(folder, options);
    std::uint64_t random = seed;
    for (std::uint64_t version = seed & 0xFFFFFFFFFFFu;; ++version) {
      Change change;
      if (mix(random) % 16 == 0) store.compact(0.1);  // nothing that anybody sees changes
      const std::uint64_t kind = mix(random) % 8;
      const std::size_t count = kind < 4 ? 1 : 1 + mix(random) % 6;
      for (std::size_t i = 0; i < count; ++i) change[prefix + std::to_string(mix(random) % 12)] = kind == 7 ? 0 : version + 1;
      std::string line = "begin";
      for (const auto& [name, number] : change) line += " " + name + " " + std::to_string(number);
      say(pipe, line + "\n");
      if (kind == 7) {
        std::vector<std::string> names;
        for (const auto& [name, number] : change) names.push_back(name);
        store.remove(names);
      } else if (count == 1) {
        store.save(change.begin()->first, make(change.begin()->first, version + 1));
      } else {
        for (const auto& [name, number] : change) store.put(name, make(name, number));
        store.synchronize();
      }
      say(pipe, "done\n");
      carry_out(mine, change);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "a writer failed: %s\n", error.what());
  }
  ::_exit(3);
}

// The life of a manager whose tensors do not fit: it spills them and takes them back. Never returns.
[[noreturn]] void spill_until_killed(const std::filesystem::path& folder, std::uint64_t random) {
  try {
    constexpr std::size_t tensors = 12, elements = 8192;
    TensorSharingManager manager{{.max_memory = tensors * elements, .spill = std::make_shared<StoreSpill>(folder)}};  // a quarter of them
    std::array<std::uint64_t, tensors> versions{};
    for (;;) {
      const std::size_t index = mix(random) % tensors;
      const std::string name = std::to_string(index);
      if (versions[index] == 0 || mix(random) % 4 == 0) {
        versions[index] = mix(random) % 1000 + 1;
        manager.forget(name);
        manager.register_tensor(name, full<std::int32_t>({elements}, static_cast<std::int32_t>(versions[index])));
      } else if (const auto lease = manager.get<std::int32_t>(name, "reader"); lease->view()(elements - 1) != static_cast<std::int32_t>(versions[index])) {
        std::fprintf(stderr, "a spilled tensor came back with other elements\n");
        ::_exit(3);
      }
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "a spilling process failed: %s\n", error.what());
  }
  ::_exit(3);
}

struct Writer {
  pid_t process = -1;
  int pipe = -1;
  std::string prefix;
};

std::string read_all(int pipe) {
  std::string text;
  char piece[4096];
  for (ssize_t got = 0; (got = ::read(pipe, piece, sizeof piece)) > 0;) text.append(piece, static_cast<std::size_t>(got));
  ::close(pipe);
  return text;
}

struct Counts {
  std::size_t acknowledged = 0, interrupted_absent = 0, interrupted_present = 0, spilled = 0, rebuilt = 0;
};

// Plays a writer's lines onto `state`; the change that was begun and not done, if any, is returned.
Change replay(const std::string& text, State& state, Counts& counts) {
  Change open;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    if (end == std::string::npos) break;
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line == "done") {
      carry_out(state, open);
      open.clear();
      ++counts.acknowledged;
      continue;
    }
    std::vector<std::string> words;
    for (std::size_t from = 0; from <= line.size();) {
      const std::size_t space = std::min(line.find(' ', from), line.size());
      words.push_back(line.substr(from, space - from));
      from = space + 1;
    }
    for (std::size_t i = 1; i + 1 < words.size(); i += 2) open[words[i]] = std::strtoull(words[i + 1].c_str(), nullptr, 10);
  }
  return open;
}

// What dead managers spilled is nobody's, but each of it whole. How much there was; it is gone then.
std::size_t take_spilled(TensorStore& store) {
  std::vector<std::string> keys;
  for (const std::string& name : store.names())
    if (name[0] == 'k') keys.push_back(name);
  for (const std::string& key : keys) static_cast<void>(store.read<std::int32_t>(key));  // checks every byte
  store.remove(keys);
  return keys.size();
}

// The manifest is lost, or damaged; whoever makes it again is killed meanwhile, and the next one does it.
void lose_manifest(const std::filesystem::path& folder, std::uint64_t& random) {
  const std::filesystem::path manifest = folder / Manifest::file_name;
  if (mix(random) % 2 == 0) std::filesystem::remove(manifest);
  else std::filesystem::resize_file(manifest, mix(random) % std::filesystem::file_size(manifest));
  const long microseconds = static_cast<long>(mix(random) % 2000);
  const pid_t process = ::fork();
  if (process == 0) {
    try {
      TensorStore(folder).rebuild();
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  struct ::timespec pause {0, microseconds * 1000};
  ::nanosleep(&pause, nullptr);
  ::kill(process, SIGKILL);
  int status = 0;
  ::waitpid(process, &status, 0);
}

[[noreturn]] void fail(std::size_t round, std::uint64_t seed, const std::string& problem) {
  std::fprintf(stderr, "FAILED after %zu kills (seed %llu): %s\n", round, static_cast<unsigned long long>(seed), problem.c_str());
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: kill FOLDER COUNT [SEED]\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const std::size_t kills = std::strtoull(argv[2], nullptr, 10);
  const std::uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : static_cast<std::uint64_t>(std::time(nullptr));
  if (std::filesystem::exists(folder) && !std::filesystem::is_empty(folder)) {
    std::fprintf(stderr, "kill: '%s' is not empty: what is in it already would be taken for a loss\n", argv[1]);
    return 2;
  }
  std::uint64_t random = seed;
  State state;
  Counts counts;
  std::size_t killed = 0, verified = 0;
  const auto begin = std::chrono::steady_clock::now();
  try {
    while (killed < kills) {
      // Every other time two writers compete, and one of them dies with the lock while the other waits for it.
      std::vector<Writer> writers;
      const std::size_t wanted = 1 + mix(random) % 2;
      for (std::size_t i = 0; i < wanted; ++i) {
        int ends[2];
        if (::pipe(ends) != 0) fail(killed, seed, "no pipe");
        const std::uint64_t life = mix(random);
        const std::string prefix = i == 0 ? "a" : "b";
        const bool spills = i == 1 && mix(random) % 2 == 0;
        const pid_t process = ::fork();
        if (process < 0) fail(killed, seed, "no process");
        if (process == 0) {
          ::close(ends[0]);
          if (spills) spill_until_killed(folder, life);
          write_until_killed(folder, ends[1], prefix, state, life);
        }
        ::close(ends[1]);
        writers.push_back({process, ends[0], prefix});
      }
      for (Writer& writer : writers) {
        const long microseconds = static_cast<long>(mix(random) % 5000);
        struct ::timespec pause {0, microseconds * 1000};
        ::nanosleep(&pause, nullptr);
        ::kill(writer.process, SIGKILL);
        int status = 0;
        ::waitpid(writer.process, &status, 0);
        if (!WIFSIGNALED(status)) fail(killed, seed, "a writer ended by itself");
        ++killed;
      }
      // The pipes hold 64 KiB, more than a writer says in these milliseconds, so that none ever waits for its reader.
      TensorStore store(folder);
      for (Writer& writer : writers) {
        const Change open = replay(read_all(writer.pipe), state, counts);
        if (open.empty()) continue;
        // The other writer's names do not matter to whether this change is there: look at its own.
        bool present = true, absent = true;
        for (const auto& [name, version] : open) {
          const auto before = state.find(name);
          const bool is_there = store.contains(name);
          State after{{name, version}}, old;
          if (before != state.end()) old.insert(*before);
          const auto matches = [&](const State& one) {
            if (one.empty() || one.begin()->second == 0) return !is_there;
            if (!is_there) return false;
            const auto expected = make(name, one.begin()->second), found = store.read<std::int32_t>(name);
            return expected.shape() == found.shape() && std::equal(expected.view().span().begin(), expected.view().span().end(), found.view().span().begin());
          };
          present = present && matches(after);
          absent = absent && matches(old);
        }
        if (!present && !absent) fail(killed, seed, "a commit is there in part");
        if (present) carry_out(state, open);
        ++(present && !absent ? counts.interrupted_present : counts.interrupted_absent);
      }
      counts.spilled += take_spilled(store);
      if (const std::string problem = difference(store, state); !problem.empty()) fail(killed, seed, problem);
      verified += state.size();
      if (mix(random) % 16 == 0 && std::filesystem::exists(folder / Manifest::file_name)) {
        store.sweep(std::chrono::hours(1000));  // a commit that was cut short would come to life otherwise
        lose_manifest(folder, random);
        counts.rebuilt += store.rebuild().rebuilt;
        std::vector<std::string> back;  // removed, but their neighbours were not
        for (const std::string& name : store.names())
          if (state.count(name) == 0) back.push_back(name);
        store.remove(back);
        if (const std::string problem = difference(store, state); !problem.empty()) fail(killed, seed, "after the manifest was lost: " + problem);
      }
      // What the dead left is gone after the next writer's search.
      if (mix(random) % 16 == 0 && std::filesystem::exists(folder)) {
        store.sweep(std::chrono::hours(1000));
        if (const std::string problem = leftover(folder, store); !problem.empty()) fail(killed, seed, problem);
      }
    }
  } catch (const std::exception& error) {
    fail(killed, seed, error.what());
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%zu kills in %.0f s (seed %llu): %zu commits acknowledged and all there; of %zu cut short %zu were complete and %zu absent, none in part; "
              "%zu tensors compared bit by bit; %zu spilled ones of dead managers, all whole; %zu lost manifests made again here\n",
              killed, seconds, static_cast<unsigned long long>(seed), counts.acknowledged, counts.interrupted_absent + counts.interrupted_present,
              counts.interrupted_present, counts.interrupted_absent, verified, counts.spilled, counts.rebuilt);
  return 0;
}
