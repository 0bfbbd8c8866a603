// A folder of tensors that survives crashes: commits of one or many, views of the file, the first rows of a large tensor.
#include <cotenant/files/store.hpp>

#include <chrono>
#include <cstdio>
#include <filesystem>

namespace ct = cotenant;

int main() {
  const std::filesystem::path folder = "example-store";
  {
    ct::TensorStore store(folder, {.max_bytes = std::size_t{1} << 30});
    store.save("embedding", ct::full(ct::Shape{4, 384}, 0.5f));  // durable on return

    store.put("layer.0.weight", ct::full(ct::Shape{384, 384}, ct::bf16(0.25f)));
    store.put("layer.0.bias", ct::zeros<float>({384}));
    const ct::CommitResult commit = store.synchronize();  // both or, after a crash, neither
    std::printf("%zu tensors in one commit of %zu bytes\n", commit.tensors, commit.bytes);

    store.save("table", ct::full(ct::Shape{20'000, 256}, 1.0f));
  }

  // Another process, or this one tomorrow.
  ct::TensorStore store(folder);
  for (const std::string& name : store.names())
    std::printf("%-16s %s %s\n", name.c_str(), std::string(to_string(store.info(name).dtype)).c_str(), to_string(store.info(name).shape).c_str());
  const auto embedding = store.load<float>("embedding");  // a view of the file: no copy
  std::printf("embedding[0, 0] = %g\n", static_cast<double>(embedding.view()(0, 0)));

  // The first rows may be used while the rest is still on its way; returning false stops.
  auto load = store.load_progressively<float>("table");
  const auto table = load.run([](const ct::ProgressiveLoad<float>& so_far) {
    std::printf("%zu of %zu bytes: %zu rows are there\n", so_far.done_bytes(), so_far.total_bytes(), so_far.ready_rows());
    return true;
  });
  std::printf("all of %s\n", to_string(table->shape()).c_str());

  // A tensor that is replaced leaves a hole in its file; compact() writes such files anew.
  store.save("layer.0.weight", ct::full(ct::Shape{384, 384}, ct::bf16(0.5f)));
  const ct::CompactResult compacted = store.compact();
  std::printf("%zu file written anew, %zu bytes given back\n", compacted.files, compacted.freed_bytes);

  // The files prove themselves: a manifest that is lost is made again from them.
  std::filesystem::remove(folder / "manifest.json");
  const ct::RebuildResult rebuilt = store.rebuild();
  std::printf("rebuilt: %zu tensors, %zu of them damaged\n", rebuilt.tensors, rebuilt.damaged_tensors.size());
  if (rebuilt.tensors != 4) return 1;

  std::printf("damaged: %zu\n", store.damaged().size());
  std::printf("unused for a week: %zu\n", store.sweep().removed.size());
  std::filesystem::remove_all(folder);
}
