// AttachedTensors: what a consumer gets, and what it refuses from hostile producers before it maps or reads anything wrongly.
#include "cotenant/ipc/attached_tensors.hpp"

#include "support.hpp"

#if defined(__linux__)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <atomic>
#include <cstring>

#include "cotenant/ipc/listening_socket.hpp"
#include "cotenant/ipc/tensor_exporter.hpp"

using namespace ipc_tests;
using namespace cotenant::detail;

namespace {

constexpr int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;

// Shared memory with these bytes and these seals.
ct::Descriptor memory(const std::string& content, int with_seals = seals) {
  ct::Descriptor descriptor(::memfd_create("cotenant-test-hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(::write(descriptor.number(), content.data(), content.size()) == static_cast<::ssize_t>(content.size()));
  REQUIRE(::fcntl(descriptor.number(), F_ADD_SEALS, with_seals) == 0);
  return descriptor;
}
std::string arena_of_ones_with(const std::string& manifest) {
  std::string arena(128, '\1');
  write_arena_header(reinterpret_cast<unsigned char*>(arena.data()), {arena.size(), manifest.size()});
  return arena + manifest;
}
std::string good_arena(const std::string& files = "") {
  return arena_of_ones_with("{\"files\":[" + files +
                    "],\"metadata\":{},\"tensors\":[{\"name\":\"t\",\"dtype\":\"u8\",\"shape\":[64],\"strides\":[1],\"part\":0,\"offset\":64,\"bytes\":64}]}");
}
template <class... D> ct::AttachedTensors open(ct::ArenaOpener opener, D... descriptors) {
  std::vector<ct::Descriptor> parts;
  (parts.push_back(std::move(descriptors)), ...);
  return opener.open(std::move(parts), "test");
}

// A producer that does what it is told: accepts one consumer after another and answers each with `answer`.
class RawProducer {
 public:
  template <class F> RawProducer(const std::filesystem::path& path, F answer) : socket_(path, false) {
    thread_ = std::thread([this, answer] {
      for (;;) {
        ::pollfd ready{socket_.descriptor().number(), POLLIN, 0};
        while (!stop_ && ::poll(&ready, 1, 5) == 0) {
        }
        if (stop_) return;
        const ct::Descriptor consumer(::accept4(socket_.descriptor().number(), nullptr, nullptr, SOCK_CLOEXEC));
        if (consumer) answer(consumer);
      }
    });
  }
  ~RawProducer() {
    stop_ = true;
    thread_.join();
  }

 private:
  ListeningSocket socket_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};
void hear(const ct::Descriptor& socket) { static_cast<void>(receive_message(socket, std::chrono::steady_clock::now() + std::chrono::seconds(5))); }

}  // namespace

TEST_CASE("tensors are found by name and type") {
  const ct::AttachedTensors attached = open({}, memory(good_arena()));
  CHECK(attached.contains("t"));
  CHECK(attached.shape("t") == ct::Shape{64});
  CHECK(attached.dtype("t") == ct::DType::u8);
  CHECK(attached.tensor<std::uint8_t>("t").view()(63) == 1);
  CHECK_FALSE(attached.producer_is_alive());
  CHECK_THROWS_WITH_AS(static_cast<void>(attached.tensor<float>("u")), doctest::Contains("'t'"), ct::NotFound);
  CHECK_THROWS_WITH_AS(static_cast<void>(attached.tensor<float>("t")), doctest::Contains("u8"), ct::TypeError);
}

TEST_CASE("memory that could still change or shrink is refused") {
  CHECK_THROWS_WITH_AS(open({}, memory(good_arena(), 0)), doctest::Contains("not sealed"), ct::BadFile);
  for (const int missing : {F_SEAL_WRITE, F_SEAL_SHRINK, F_SEAL_GROW}) CHECK_THROWS_AS(open({}, memory(good_arena(), seals & ~missing)), ct::BadFile);
  const TemporaryFolder folder;
  const auto path = folder.write("arena", good_arena());
  CHECK_THROWS_AS(open({}, ct::Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC))), ct::BadFile);
  CHECK_THROWS_AS(open({}, ct::Descriptor(::open("/dev/zero", O_RDONLY | O_CLOEXEC))), ct::BadFile);
  CHECK_THROWS_AS(open({}, ct::Descriptor()), ct::BadFile);
  CHECK_THROWS_AS(open({}), ct::BadFile);
}

TEST_CASE("arenas whose content is garbage are refused, and nothing stays mapped or open") {
  const std::size_t before = open_descriptors();
  CHECK_THROWS_AS(open({}, memory("")), ct::BadFile);
  CHECK_THROWS_AS(open({}, memory(std::string(63, '\0'))), ct::BadFile);
  CHECK_THROWS_AS(open({}, memory(std::string(4096, '\xff'))), ct::BadFile);
  CHECK_THROWS_AS(open({}, memory(arena_of_ones_with("no JSON"))), ct::BadFile);
  CHECK_THROWS_AS(open({}, memory(arena_of_ones_with("{\"files\":[],\"metadata\":{},\"tensors\":[{\"name\":\"t\",\"dtype\":\"u8\",\"shape\":[65],\"strides\":[1],"
                                             "\"part\":0,\"offset\":64,\"bytes\":65}]}"))),
                  ct::ShapeError);  // reaches into the manifest
  CHECK(open_descriptors() == before);
  CHECK(maps_with("cotenant-test-hostile") == 0);
}

TEST_CASE("files that are not what the manifest says are refused") {
  const TemporaryFolder folder;
  const auto path = folder.write("data", std::string(1000, 'd'));
  const auto file = [&](int flags = O_RDONLY) { return ct::Descriptor(::open(path.c_str(), flags | O_CLOEXEC)); };
  CHECK(open({}, memory(good_arena("1000")), file()).contains("t"));
  CHECK_THROWS_WITH_AS(open({}, memory(good_arena("999")), file()), doctest::Contains("1000"), ct::BadFile);
  CHECK_THROWS_AS(open({}, memory(good_arena("1000,1000")), file()), ct::BadFile);
  CHECK_THROWS_AS(open({}, memory(good_arena()), file()), ct::BadFile);
  CHECK_THROWS_AS(open({}, memory(good_arena("1000")), file(O_WRONLY)), ct::BadFile);
  CHECK_THROWS_AS(open({}, memory(good_arena("0")), ct::Descriptor(::open(folder.path().c_str(), O_RDONLY | O_CLOEXEC))), ct::BadFile);
  CHECK_THROWS_WITH_AS(open({true, false}, memory(good_arena("1000")), file()), doctest::Contains("only sealed"), ct::BadFile);
}

TEST_CASE("a bool that is neither 0 nor 1 is refused, a repeated one looked at once") {
  const auto bools = [&](const std::string& shape, const std::string& strides, const std::string& offset, const std::string& bytes) {
    return arena_of_ones_with("{\"files\":[],\"metadata\":{},\"tensors\":[{\"name\":\"b\",\"dtype\":\"bool\",\"shape\":[" + shape +
                      "],\"strides\":[" + strides + "],\"part\":0,\"offset\":" + offset + ",\"bytes\":" + bytes + "}]}");
  };
  CHECK(open({}, memory(bools("64", "1", "64", "64"))).tensor<bool>("b").view()(5));
  CHECK(open({}, memory(bools("1000000000000,64", "0,1", "64", "64000000000000"))).tensor<bool>("b").view()(5, 5));
  CHECK_THROWS_WITH_AS(static_cast<void>(open({}, memory(bools("128", "1", "0", "128"))).tensor<bool>("b")), doctest::Contains("neither 0 nor 1"), ct::BadFile);
}

TEST_CASE("producers that break the protocol are refused, and leave nothing open") {
  const TemporaryFolder folder;
  const std::string path = folder / "socket";
  const ct::AttachOptions quickly{.timeout = std::chrono::milliseconds(300)};
  const auto welcome = [](std::uint32_t descriptors) { return write_welcome({handshake_version, true, descriptors, ""}); };
  const std::size_t before = open_descriptors();
  const auto refused = [&](auto answer) {
    const RawProducer producer(path, answer);
    std::string message = "accepted";
    try {
      static_cast<void>(ct::attach(path, quickly));
    } catch (const ct::Error& error) {
      message = std::string(ct::to_string(error.code())) + ": " + error.what();
    }
    return message;
  };
  const auto says = [](const std::string& text, const std::string& part) {
    const bool found = text.find(part) != text.npos;
    if (!found) MESSAGE(text);
    return found;
  };
  CHECK(says(refused([](const ct::Descriptor& consumer) { hear(consumer); }), "io: "));                                           // hangs up
  CHECK(says(refused([](const ct::Descriptor&) { std::this_thread::sleep_for(std::chrono::milliseconds(400)); }), "timed out"));  // says nothing
  const auto reply = [&](std::string message, std::vector<int> descriptors = {}) {
    return [message, descriptors](const ct::Descriptor& consumer) {
      hear(consumer);
      send_message(consumer, message, descriptors);
      hear(consumer);
    };
  };
  CHECK(says(refused(reply("HTTP/1.1 400 Bad Request")), "bad_file: "));
  CHECK(says(refused(reply(std::string(5000, 'x'))), "too long"));
  CHECK(says(refused(reply(write_welcome({2, true, 1, ""}))), "unsupported: "));
  CHECK(says(refused(reply(write_welcome({handshake_version, false, 0, "not today"}))), "refused: not today"));
  CHECK(says(refused(reply(welcome(1))), "announced 1 descriptors and sent 0"));
  CHECK(says(refused(reply(welcome(0))), "no descriptor"));
  const ct::Descriptor good = memory(good_arena()), null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(says(refused(reply(welcome(1), {good.number(), good.number()})), "announced 1 descriptors and sent 2"));
  CHECK(says(refused(reply(welcome(1), std::vector<int>(max_parts, null.number()))), "sent 253"));
  CHECK(says(refused(reply(welcome(max_parts), std::vector<int>(max_parts, null.number()))), "not sealed"));
  CHECK(says(refused(reply(welcome(1), {null.number()})), "not sealed"));
  CHECK(refused(reply(welcome(1), {good.number()})) == "accepted");
  CHECK(open_descriptors() == before + 2);
  CHECK(maps_with("cotenant-test-hostile") == 0);
}

TEST_CASE("more descriptors than this process may open are closed, and said") {
  const TemporaryFolder folder;
  const std::string path = folder / "socket";
  Child child([&](const Child::Talk& talk) {
    const ct::Descriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const RawProducer producer(path, [&](const ct::Descriptor& consumer) {
      hear(consumer);
      send_message(consumer, write_welcome({handshake_version, true, max_parts, ""}), std::vector<int>(max_parts, null.number()));
      hear(consumer);
    });
    talk.say('r');
    talk.hear();
    return 0;
  });
  REQUIRE(child.talk().hear() == 'r');
  ::rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const ::rlimit few{std::min<::rlim_t>(100, limit.rlim_max), limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  const std::size_t before = open_descriptors();
  CHECK_THROWS_WITH_AS(static_cast<void>(ct::attach(path)), doctest::Contains("may open"), ct::BadFile);
  CHECK(open_descriptors() == before);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  child.talk().say('q');
  CHECK(child.wait() == 0);
}

TEST_CASE("named arenas are not there, not filled, or opened") {
  const std::string name = "/cotenant-test-" + std::to_string(::getpid());
  CHECK_THROWS_AS(static_cast<void>(ct::attach_named(name)), ct::NotFound);
  ct::SharedArena arena = ct::SharedArena::create_named(name, 4096);
  CHECK_THROWS_WITH_AS(static_cast<void>(ct::attach_named(name)), doctest::Contains("does not begin"), ct::BadFile);
  const std::string content = good_arena();
  std::memcpy(arena.writable().data(), content.data(), content.size());
  CHECK(ct::attach_named(name).tensor<std::uint8_t>("t").view()(0) == 1);
}

#else

TEST_CASE("attaching says that it needs Linux") {
  CHECK_THROWS_AS(static_cast<void>(cotenant::attach("/tmp/x")), cotenant::Unsupported);
  CHECK_THROWS_AS(static_cast<void>(cotenant::attach_named("/x")), cotenant::Unsupported);
}

#endif
