#include "cotenant/files/store.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "cotenant/files/safetensors.hpp"
#include "../error_text.hpp"
#include "ramp.hpp"
#include "temporary_folder.hpp"

using namespace cotenant;
using test::has, test::message, test::ramp;

namespace {
template <class T, class S, class R> bool same(const SharedTensor<T, S>& a, const SharedTensor<T, R>& b) {
  return a.shape() == b.shape() && (a.bytes() == 0 || std::memcmp(a.view().span().data(), b.view().span().data(), a.bytes()) == 0);
}
std::vector<std::string> data_files(const TemporaryFolder& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    if (entry.path().extension() != ".json" && entry.path().filename() != "lock") names.push_back(entry.path().filename().string());
  return names;
}
void overwrite(const std::filesystem::path& path, std::size_t at, const std::string& bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(at));
  file << bytes;
}
}  // namespace

TEST_CASE("store: what is saved is there for everyone who opens the folder") {
  const TemporaryFolder folder;
  const auto weights = ramp({3, 5});
  {
    TensorStore store(folder / "deep/er");
    CHECK(store.names().empty());
    CHECK_FALSE(store.contains("w"));
    CHECK(store.save("w", weights).tensors == 1);
    CHECK(store.contains("w"));
    CHECK(same(store.load<float>("w"), weights));
  }
  TensorStore store(folder / "deep/er");
  CHECK(same(store.load<float>("w"), weights));
  CHECK(same(store.read<float>("w"), weights));
  CHECK(store.info("w").shape == Shape{3, 5});
  CHECK(store.info("w").bytes == 60);
  CHECK(store.bytes() == std::filesystem::file_size(folder / "deep/er" / store.info("w").file));
  CHECK(has(message([&] { store.load<float>("v"); }), "not_found"));
  CHECK(has(message([&] { store.load<float>("v"); }), "'w'"));
  CHECK(has(message([&] { store.load<f16>("w"); }), "ask for f32"));
  CHECK(has(message([&] { store.info("v"); }), "not_found"));
  CHECK_FALSE(store.find("v").has_value());
}

TEST_CASE("store: every element type, any layout, and what has no element") {
  const TemporaryFolder folder;
  TensorStore store(folder.path());
  const auto base = ramp({4, 6});
  store.put("turned", base.transpose());
  store.put("bf16", full(Shape{3}, bf16(1.5f)));
  store.put("f16", full(Shape{2}, f16(-2.0f)));
  store.put("i8", full<std::int8_t>({5}, -7));
  store.put("u8", full<std::uint8_t>({1}, 200));
  store.put("i32", full<std::int32_t>({2}, -70000));
  store.put("i64", full<std::int64_t>({1}, std::int64_t{1} << 40));
  store.put("flag", full(Shape{3}, true));
  store.put("pairs", full(Shape{2, 2}, i4x2(-8, 7)));
  store.put("none", empty<float>({0, 4}));
  store.put("scalar", from({2.5f}, {}));
  CHECK(store.pending() == 11);
  CHECK(store.names().empty());
  CHECK(store.synchronize().tensors == 11);
  CHECK(store.pending() == 0);
  CHECK(store.synchronize().tensors == 0);
  CHECK(data_files(folder).size() == 1);
  TensorStore other(folder.path());
  const auto turned = other.load<float>("turned");
  CHECK(turned.shape() == Shape{6, 4});
  CHECK(turned.view()(5, 2) == base.view()(2, 5));
  CHECK(other.load<bf16>("bf16").view()(2) == bf16(1.5f));
  CHECK(other.load<f16>("f16").view()(1) == f16(-2.0f));
  CHECK(other.load<std::int8_t>("i8").view()(4) == -7);
  CHECK(other.load<std::uint8_t>("u8").view()(0) == 200);
  CHECK(other.load<std::int32_t>("i32").view()(1) == -70000);
  CHECK(other.load<std::int64_t>("i64").view()(0) == std::int64_t{1} << 40);
  CHECK(other.load<bool>("flag").view()(2));
  CHECK(other.load<i4x2>("pairs").view()(1, 1) == i4x2(-8, 7));
  CHECK(other.read<i4x2>("pairs").view()(0, 1) == i4x2(-8, 7));
  CHECK(other.load<float>("none").shape() == Shape{0, 4});
  CHECK(other.read<float>("none").size() == 0);
  CHECK(other.load<float>("scalar").view()() == 2.5f);
  CHECK(other.damaged().empty());
  // Any program that reads safetensors reads them too.
  CHECK(SafetensorsFile::open(folder / data_files(folder)[0]).tensor<float>("turned").view()(5, 2) == base.view()(2, 5));
}

TEST_CASE("store: a loaded tensor is a view of its part of the file, and loads share the page cache") {
  const TemporaryFolder folder;
  TensorStore store(folder.path());
  store.put("small", ramp({10}));
  store.put("large", ramp({100, 1000}));
  store.synchronize();
  const auto small = store.load<float>("small"), large = store.load<float>("large");
  CHECK(std::string(large.block()->storage_name()) == "mapped");
  // Not the whole file: who counts bytes counts a tensor's own, and at most a page around them.
  CHECK(small.block()->bytes() < 2 * 4096 + 40);
  CHECK(large.block()->bytes() < 400000 + 2 * 4096);
  CHECK(large.use_count() == 1);
  CHECK_THROWS_AS(large.check_writable(), ReadOnly);
}

TEST_CASE("store: replaced and removed tensors stay for who has loaded them, and their files go") {
  const TemporaryFolder folder;
  TensorStore store(folder.path()), reader(folder.path());
  store.save("a", ramp({1000}, 1));
  store.save("b", ramp({10}, 2));
  const auto old = reader.load<float>("a");
  store.save("a", ramp({2}, 3));
  CHECK(data_files(folder).size() == 2);
  CHECK(old.view()(999) == 1000.0f);
  CHECK(reader.load<float>("a").shape() == Shape{2});
  CHECK(store.remove("a"));
  CHECK_FALSE(store.remove("a"));
  CHECK_FALSE(reader.contains("a"));
  CHECK(data_files(folder).size() == 1);
  CHECK(reader.remove(std::vector<std::string>{"b", "c"}) == std::vector<std::string>{"b"});
  CHECK(data_files(folder).empty());
  CHECK(store.bytes() == 0);
  CHECK(old.view()(0) == 1.0f);
}

TEST_CASE("store: a file stays while one of its tensors is wanted") {
  const TemporaryFolder folder;
  TensorStore store(folder.path());
  store.put("a", ramp({8}, 1));
  store.put("b", ramp({8}, 2));
  store.synchronize();
  store.save("a", ramp({8}, 3));
  CHECK(data_files(folder).size() == 2);
  CHECK(store.load<float>("b").view()(0) == 2.0f);
  store.save("b", ramp({8}, 4));
  CHECK(data_files(folder).size() == 2);
  CHECK(store.load<float>("a").view()(0) == 3.0f);
}

TEST_CASE("store: what cannot be stored is refused before anything is written") {
  const TemporaryFolder folder;
  TensorStore store(folder.path());
  CHECK_THROWS_AS(store.save("x", SharedTensor<float>{}), InvalidArgument);
  CHECK_THROWS_AS(store.put("x", SharedTensor<i4x2>{}), InvalidArgument);
  CHECK_THROWS_AS(store.put("__metadata__", ramp({1})), InvalidArgument);
  CHECK_THROWS_AS(store.put("\xFF", ramp({1})), InvalidArgument);
  CHECK(store.pending() == 0);
  CHECK(std::filesystem::is_empty(folder.path()));
  store.save("<script> \"ü\" \n/../x", ramp({1}, 5));
  CHECK(TensorStore(folder.path()).load<float>("<script> \"ü\" \n/../x").view()(0) == 5.0f);
}

TEST_CASE("store: damage is found at the first load, named, and costs only the damaged tensor") {
  const TemporaryFolder folder;
  TensorStore writer(folder.path());
  writer.save("good", ramp({100}));
  writer.save("flipped", ramp({2000, 1000}));
  writer.save("short", ramp({100}));
  writer.save("gone", ramp({100}));
  writer.put("neighbour", ramp({64}, 1));
  writer.put("beside", ramp({64}, 2));
  writer.synchronize();
  const StoredTensor flipped = writer.info("flipped"), cut = writer.info("short"), beside = writer.info("beside");
  overwrite(folder / flipped.file, flipped.position + 5'000'000, "x");
  overwrite(folder / beside.file, beside.position + 8, "yyyy");
  std::filesystem::resize_file(folder / cut.file, cut.position + cut.bytes - 1);
  std::filesystem::remove(folder / writer.info("gone").file);
  TensorStore store(folder.path());
  CHECK(store.load<float>("good").view()(99) == 99.0f);
  CHECK(store.load<float>("neighbour").view()(63) == 64.0f);
  const std::string text = message([&] { store.load<float>("flipped"); });
  CHECK(has(text, "bad_file"));
  CHECK(has(text, "'flipped'"));
  CHECK(has(text, flipped.file));
  CHECK(has(text, "bytes 4194304 to 8000000"));  // the second of two chunks
  CHECK(has(message([&] { store.load<float>("flipped"); }), "bad_file"));
  CHECK(has(message([&] { store.read<float>("beside"); }), "checksum"));
  CHECK(has(message([&] { store.load<float>("short"); }), "truncated"));
  CHECK(has(message([&] { store.load<float>("gone"); }), "missing"));
  CHECK(store.damaged().size() == 4);
  // The writer itself has not looked at its bytes since, and finds out as well.
  CHECK(has(message([&] { writer.load<float>("flipped"); }), "bad_file"));
  // Saving it again repairs it.
  store.save("flipped", ramp({3}));
  CHECK(store.load<float>("flipped").shape() == Shape{3});
  CHECK(store.damaged().size() == 3);
}

TEST_CASE("store: a bool that is neither 0 nor 1 is never handed out") {
  const TemporaryFolder folder;
  TensorStore store(folder.path(), {.verify = false});
  store.save("flags", full(Shape{100}, true));
  const StoredTensor entry = store.info("flags");
  CHECK(store.load<bool>("flags").view()(3));
  overwrite(folder / entry.file, entry.position + 3, "\x02");
  CHECK(has(message([&] { store.load<bool>("flags"); }), "neither 0 nor 1"));
}

TEST_CASE("store: a damaged manifest is refused, by readers and writers, and left alone") {
  const TemporaryFolder folder;
  TensorStore(folder.path()).save("a", ramp({4}));
  const std::string good = folder.read("manifest.json");
  const auto files = data_files(folder);
  for (const std::string& bad : {std::string(), std::string("{}"), good.substr(0, good.size() - 3), std::string(good).replace(good.find("f32"), 3, "i32")}) {
    folder.write("manifest.json", bad);
    TensorStore store(folder.path());
    CHECK(has(message([&] { store.load<float>("a"); }), "bad_file"));
    CHECK(has(message([&] { store.load<float>("a"); }), "manifest.json"));
    CHECK(has(message([&] { store.save("b", ramp({4})); }), "bad_file"));
    CHECK(folder.read("manifest.json") == bad);
    CHECK(data_files(folder) == files);
  }
  folder.write("manifest.json", good);
  CHECK(TensorStore(folder.path()).load<float>("a").view()(3) == 3.0f);
}

TEST_CASE("store: what a dead process left is removed by the next writer") {
  const TemporaryFolder folder;
  TensorStore store(folder.path());
  store.save("a", ramp({4}));
  const auto leave = [&] {
    folder.write("tensors-00000009-0badcafe.safetensors", "never named by a manifest");
    folder.write("tensors-0000000a-0badcafe.safetensors.tmp77-0", "half");
    folder.write("manifest.json.tmp77-1", "half");
    folder.write("manifest.json.tmp77-1.old", "old");
    folder.write("notes.txt", "not ours");
  };
  leave();
  // It held the lock when it died.
  folder.write("lock", "1");
  store.save("b", ramp({4}));
  CHECK(data_files(folder).size() == 3);  // a, b and the notes
  leave();
  CHECK(TensorStore(folder.path()).load<float>("a").view()(3) == 3.0f);
  CHECK(data_files(folder).size() == 7);  // readers change nothing
  TensorStore(folder.path()).save("c", ramp({4}));
  CHECK(data_files(folder).size() == 4);
  leave();
  CHECK(store.sweep().freed_bytes == 25 + 4 + 4 + 3);
  CHECK(folder.read("notes.txt") == "not ours");
}

TEST_CASE("store: a size that must not be passed") {
  const TemporaryFolder folder;
  const auto page = ramp({1024});  // 4096 bytes, and 192 or so of header
  SUBCASE("refused") {
    TensorStore store(folder.path(), {.max_bytes = 10000});
    store.save("a", page);
    store.save("b", page);
    CHECK(has(message([&] { store.save("c", page); }), "budget_exceeded"));
    CHECK(store.names() == std::vector<std::string>{"a", "b"});
    CHECK(data_files(folder).size() == 2);
    store.save("a", page);  // in place of itself
    store.put("c", page);
    CHECK(has(message([&] { store.synchronize(); }), "max_bytes"));
    CHECK(store.pending() == 1);
    store.remove("b");
    CHECK(store.synchronize().tensors == 1);
    CHECK(store.names() == std::vector<std::string>{"a", "c"});
  }
  SUBCASE("the oldest go") {
    auto now = std::chrono::system_clock::now();
    TensorStore store(folder.path(), {.max_bytes = 10000, .when_full = WhenFull::sweep_oldest, .clock = [&] { return now; }});
    store.save("a", page);
    now += std::chrono::hours(2);
    store.save("b", page);
    now += std::chrono::hours(2);
    CHECK(store.load<float>("a").size() == 1024);  // so b is the oldest
    CHECK(store.save("c", page).swept == std::vector<std::string>{"b"});
    CHECK(store.names() == std::vector<std::string>{"a", "c"});
    CHECK(store.bytes() <= 10000);
    CHECK(has(message([&] { store.save("d", ramp({3000})); }), "budget_exceeded"));
    CHECK(store.names().size() == 2);
  }
}

TEST_CASE("store: tensors unused for a week are swept, and a load counts as use") {
  const TemporaryFolder folder;
  auto now = std::chrono::system_clock::now();
  const StoreOptions options{.clock = [&] { return now; }};
  TensorStore store(folder.path(), options);
  store.save("used", ramp({4}));
  store.save("unused", ramp({4}));
  now += std::chrono::hours(24 * 6);
  TensorStore(folder.path(), options).load<float>("used");
  CHECK(store.sweep().removed.empty());
  now += std::chrono::hours(24 * 2);
  const auto old = store.find("unused");
  const SweepResult swept = store.sweep();
  CHECK(swept.removed == std::vector<std::string>{"unused"});
  CHECK(swept.freed_bytes > 16);
  CHECK_FALSE(std::filesystem::exists(folder / old->file));
  CHECK(store.names() == std::vector<std::string>{"used"});
  CHECK(store.sweep(std::chrono::hours(1)).removed == std::vector<std::string>{"used"});
  CHECK(TensorStore(folder / "absent").sweep().removed.empty());
  CHECK_FALSE(std::filesystem::exists(folder / "absent"));
}

#if !defined(_WIN32)
TEST_CASE("store: a folder that may only be read") {
  const TemporaryFolder folder;
  TensorStore(folder.path()).save("a", ramp({4}));
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) std::filesystem::permissions(entry.path(), std::filesystem::perms(0444));
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0555));
  const bool root = ::geteuid() == 0;  // whom no permission stops: become somebody else for a moment
  if (root) REQUIRE(::seteuid(65534) == 0);
  TensorStore store(folder.path());
  CHECK(store.load<float>("a").view()(3) == 3.0f);
  CHECK(has(message([&] { store.save("b", ramp({4})); }), "io: "));
  CHECK(has(message([&] { store.remove("a"); }), "io: "));
  CHECK(has(message([&] { TensorStore(folder / "inside").save("b", ramp({4})); }), "inside"));
  CHECK(store.names() == std::vector<std::string>{"a"});
  if (root) REQUIRE(::seteuid(0) == 0);
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
}

TEST_CASE("store: several processes and threads write and read at once") {
  const TemporaryFolder folder;
  constexpr int processes = 3, rounds = 20;
  const auto value = [](int who, int round) { return static_cast<float>(1000 * who + round); };
  std::vector<pid_t> children;
  for (int who = 0; who < processes; ++who) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      int status = 1;
      try {
        TensorStore store(folder.path(), {.durable = false});
        for (int round = 0; round < rounds; ++round) store.save("p" + std::to_string(who), full(Shape{100}, value(who, round)));
        status = 0;
      } catch (const Error&) {
      }
      ::_exit(status);
    }
    children.push_back(child);
  }
  TensorStore store(folder.path(), {.durable = false});
  std::atomic<int> torn{0};
  const auto read_all = [&] {
    for (const std::string& name : store.names()) {
      const auto tensor = store.load<float>(name);
      for (float element : tensor.view().span()) torn += element != tensor.view()(0);
    }
  };
  std::thread thread([&] {
    for (int round = 0; round < rounds; ++round) store.save("thread", full(Shape{100}, static_cast<float>(round)));
  });
  for (int i = 0; i < 200; ++i) read_all();
  thread.join();
  for (pid_t child : children) {
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  CHECK(torn == 0);
  for (int who = 0; who < processes; ++who) CHECK(store.load<float>("p" + std::to_string(who)).view()(99) == value(who, rounds - 1));
  CHECK(store.load<float>("thread").view()(0) == rounds - 1);
  CHECK(data_files(folder).size() == processes + 1);
}
#endif
