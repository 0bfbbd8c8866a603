// Tensors that left memory and come back: how fast, beside reading a file of that size by hand.
#include <cstring>
#include <memory>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cotenant/files/store_spill.hpp"
#include "cotenant/share/manager.hpp"
#include "rows.hpp"

namespace ct = cotenant;

namespace {
constexpr std::size_t bytes = 100'000'000;

struct File {
  int descriptor;
  explicit File(const std::filesystem::path& path) : descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor < 0) ct::raise<ct::IoError>("cannot open '" + path.string() + "'");
  }
  ~File() { ::close(descriptor); }
  // Out of the page cache, so that the disk is read.
  void forget() const {
    ::fsync(descriptor);
    ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
  }
};

void read_all(const File& file, char* to) {
  for (std::size_t done = 0; done < bytes;) {
    const auto got = ::pread(file.descriptor, to + done, std::min(bytes - done, std::size_t{4} << 20), static_cast<off_t>(done));
    if (got <= 0) ct::raise<ct::IoError>("cannot read the benchmark's file");
    done += static_cast<std::size_t>(got);
  }
}
}  // namespace

void bench_sharing::returning(const Setting& setting) {
  const std::filesystem::path folder = setting.folder / "spill";
  std::filesystem::remove_all(folder);
  auto spill = std::make_shared<ct::StoreSpill>(folder);
  ct::TensorSharingManager manager{{.max_memory = 2 * bytes, .spill = spill, .mode = ct::MemoryMode::memory}};
  auto tensor = ct::empty<float>({bytes / 4});
  for (std::size_t i = 0; i < tensor.size(); ++i) tensor.mutable_view().span()[i] = static_cast<float>(i % 1000);
  manager.register_tensor("large", std::move(tensor));
  const auto send_away = [&] {
    if (manager.optimize_memory().evicted_names.empty()) ct::raise<ct::InvalidArgument>("the tensor did not leave memory");
  };
  send_away();
  const std::filesystem::path path = folder / spill->store().info(spill->store().names().front()).file;
  const File file(path);
  void* const known = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (known == MAP_FAILED) ct::raise<ct::OutOfMemory>("no room for the benchmark");
  std::memset(known, 1, bytes);
  const auto reload = [&](bool from_disk) {
    if (from_disk) file.forget();
    double seconds = 0;
    {
      ct::Lease<float, ct::Heap> lease;
      seconds = seconds_of([&] { lease = manager.get<float>("large", "m"); });
      if (lease->view()(bytes / 4 - 1) != static_cast<float>((bytes / 4 - 1) % 1000)) ct::raise<ct::InvalidArgument>("the tensor came back with other elements");
    }
    send_away();
    return seconds;
  };
  const auto read_new = [&](bool from_disk) {
    if (from_disk) file.forget();
    void* room = nullptr;
    const double seconds = seconds_of([&] {
      room = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      read_all(file, static_cast<char*>(room));
    });
    ::munmap(room, bytes);
    return seconds;
  };
  const auto read_known = [&](bool from_disk) {
    if (from_disk) file.forget();
    return seconds_of([&] { read_all(file, static_cast<char*>(known)); });
  };
  for (const bool from_disk : {false, true}) {
    Row row{"returning", from_disk ? "100 MB, spilled, from the disk" : "100 MB, spilled, from the page cache", "GB/s"};
    row.work = bytes;
    row.target_ratio = 0.8;
    row.target_peers = {"read(), new memory"};
    measure(row, setting,
            {{"cotenant", [&] { return reload(from_disk); }},
             {"read(), new memory", [&] { return read_new(from_disk); }},
             {"read(), used memory", [&] { return read_known(from_disk); }}},
            std::min(setting.rounds, 11));
  }
  ::munmap(known, bytes);
  std::filesystem::remove_all(folder);
}
