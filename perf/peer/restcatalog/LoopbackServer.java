// Starts the Iceberg project's REST catalog server, org.apache.iceberg.rest.RESTCatalogServer, but for two things: it
// listens on 127.0.0.1 alone, and each first segment of a path (/NAME/v1/…) is a catalog of its own, made when it is
// first called, so that tests share one JVM. What answers is the project's servlet and adapter, unchanged; they are not
// public, hence the reflection.
//
//	java -cp 'DIR/*' LoopbackServer.java PORT DIR      with the settings of each catalog in CATALOG_… variables, as the
//	                                                   project's server takes them; DIR holds the databases
package firn;

import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletRequestWrapper;
import jakarta.servlet.http.HttpServletResponse;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.net.InetSocketAddress;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.iceberg.rest.RESTCatalogAdapter;
import org.apache.iceberg.rest.RESTCatalogServlet;
import org.eclipse.jetty.compression.gzip.GzipCompression;
import org.eclipse.jetty.compression.server.CompressionHandler;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;

public class LoopbackServer extends HttpServlet {
  private final Map<String, RESTCatalogServlet> catalogs = new ConcurrentHashMap<>();
  private final String dir;
  private final String warehouse = System.getenv("CATALOG_WAREHOUSE");

  private LoopbackServer(String dir) {
    this.dir = dir;
  }

  @Override
  protected void service(HttpServletRequest request, HttpServletResponse response)
      throws jakarta.servlet.ServletException, java.io.IOException {
    String uri = request.getRequestURI();
    int end = uri.indexOf('/', 1);
    if (end < 0) {
      response.sendError(404);
      return;
    }
    catalogs
        .computeIfAbsent(uri.substring(1, end), this::open)
        .service(
            new HttpServletRequestWrapper(request) {
              @Override
              public String getRequestURI() {
                return uri.substring(end);
              }
            },
            response);
  }

  private RESTCatalogServlet open(String name) {
    try {
      Class<?> server = Class.forName("org.apache.iceberg.rest.RESTCatalogServer");
      Constructor<?> make = server.getDeclaredConstructor(Map.class);
      make.setAccessible(true);
      // One connection to the database: SQLite answers a second writer with an error, which would look like the
      // catalog's own.
      Object configured =
          make.newInstance(
              Map.of("uri", "jdbc:sqlite:" + dir + "/" + name + ".db", "clients", "1", "warehouse", warehouse + "/" + name));
      Method build = server.getDeclaredMethod("initializeBackendCatalog");
      build.setAccessible(true);
      Object context = build.invoke(configured);
      Constructor<?> adapt =
          Class.forName("org.apache.iceberg.rest.RESTServerCatalogAdapter").getDeclaredConstructor(context.getClass());
      adapt.setAccessible(true);
      return new RESTCatalogServlet((RESTCatalogAdapter) adapt.newInstance(context));
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("open catalog " + name, e);
    }
  }

  public static void main(String[] args) throws Exception {
    ServletContextHandler context = new ServletContextHandler(ServletContextHandler.NO_SESSIONS);
    context.addServlet(new ServletHolder(new LoopbackServer(args[1])), "/*");
    CompressionHandler compression = new CompressionHandler();
    compression.putCompression(new GzipCompression());
    context.insertHandler(compression);
    Server server = new Server(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])));
    server.setHandler(context);
    server.start();
    server.join();
  }
}
